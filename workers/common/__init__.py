"""The lowest layer: errors, times, retries, tasks and logs; imports nothing else of `workers`."""
