"""The product against the synthetic PBX while everything around it breaks, and the synthetic PBX against the recorded real one."""
