"""Live sockets: the progress of a job, and the mastery of a student."""
