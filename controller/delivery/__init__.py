"""Brings products to their destinations, and takes them away again when they are old."""

from controller.delivery.delivering import deliver
from controller.delivery.lanes import DELIVERIES_MAX, Lanes
from controller.delivery.opening import fault_of_folder
from controller.delivery.options import read_options
from controller.delivery.retention import Retention, remove_old

__all__ = [
    "DELIVERIES_MAX",
    "Lanes",
    "Retention",
    "deliver",
    "fault_of_folder",
    "read_options",
    "remove_old",
]
