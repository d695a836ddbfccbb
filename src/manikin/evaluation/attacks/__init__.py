"""Attacks on a release: what someone could learn about the people behind it. Every attack states what the attacker knows."""
