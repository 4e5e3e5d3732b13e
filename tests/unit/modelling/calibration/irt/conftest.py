from hypothesis import settings

# A busy machine is no failure; time is measured in bench/.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
