"""How good `impact` is: set-ups drawn at random go through an upgrade."""
