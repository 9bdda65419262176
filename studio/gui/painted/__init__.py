"""Charts that follow the hand, painted with QPainter."""
