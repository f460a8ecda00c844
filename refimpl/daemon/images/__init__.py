"""Images: importing, loading, keeping, listing and removing them. Begin at `service`."""
