"""Pictures as SVG. Each shape carries its light colour as an attribute, for print and for files that stand alone, and a
class that follows the page's tokens on screen."""
