"""What happened: events, and the metrics."""
