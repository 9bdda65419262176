"""Why a candidate misses its objectives, in words."""
