"""Judge a calibration by what it predicts and by what its mastery means."""
