"""Talk to a running service from Python: `Client`, what it answers, and what can go wrong."""

from controller.client.access import Access, access_from
from controller.client.answers import (
    Account,
    Announced,
    Decision,
    Estimate,
    Health,
    NextTask,
    Node,
    Policy,
    Product,
    Scale,
    State,
    Subscription,
    Task,
    Update,
    Webhook,
    Wish,
)
from controller.client.client import Client
from controller.errors import AccessError, RequestFault, ServiceError, Unreachable

__all__ = [
    "Access",
    "AccessError",
    "Account",
    "Announced",
    "Client",
    "Decision",
    "Estimate",
    "Health",
    "NextTask",
    "Node",
    "Policy",
    "Product",
    "RequestFault",
    "Scale",
    "ServiceError",
    "State",
    "Subscription",
    "Task",
    "Unreachable",
    "Update",
    "Webhook",
    "Wish",
    "access_from",
]
