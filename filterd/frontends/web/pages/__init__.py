"""The pages, one file for each room: plain functions from a visit to a response."""
