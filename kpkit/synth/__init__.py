"""Made-up scenes of articulated people whose labels are exactly known: `kpkit.synth.scenes.make_scene`."""
