"""What of a difference between two engines concerns the containers and networks that are there."""
