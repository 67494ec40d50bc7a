"""Policies to start from; a test exercises each."""
