"""Imagery read by machines: land cover, change, cases, and areas that carry intervals."""
