"""Making a lock: one answer for conda and pip, kept or not, compared and explained."""
