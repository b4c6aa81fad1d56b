"""From results to the view: everything is worded here, and nothing is said that the results do not hold."""
