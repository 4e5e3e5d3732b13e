"""Judge a calibration by its predictions and by the validity of its mastery."""
