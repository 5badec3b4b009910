"""Tests of second factors and single sign-on, in a run of their own: the settings load these parts or not."""
