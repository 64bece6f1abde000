"""The product in one call: query and client -> answer; the same decision explained."""
