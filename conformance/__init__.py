"""The behaviours, the engines they run against, and the matrix."""
