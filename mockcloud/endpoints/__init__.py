"""What clients dial: the namespace endpoint that follows the active region, and regional endpoints."""
