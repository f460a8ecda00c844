"""The static site: pages for people and two JSON files for programs, made of the evidence."""
