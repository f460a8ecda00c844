"""What a client is shown: inspect, list, system."""
