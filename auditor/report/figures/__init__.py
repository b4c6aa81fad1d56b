"""Pictures as SVG, written by hand: each shape carries the light colour as an attribute (print, stand-alone files) and a
class that follows the page's tokens on screen."""
