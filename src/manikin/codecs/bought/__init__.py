"""What a table codec learns under a privacy ledger, bought fact by fact: how cells are written, levels, missing codes, ranges and bins.

Everything here sees private rows through a seal; `privacy.mechanisms` gives the noisy answers, and the rest is made of these.
"""
