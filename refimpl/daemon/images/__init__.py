"""Images: what imports, loads, keeps, lists and removes them. `service.ImageService` is the door."""
