"""Misbehaviour on request: what real servers and the roads to them do to a client."""
