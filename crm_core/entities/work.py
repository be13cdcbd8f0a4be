"""Records of daily work: tickets, follow-ups, tasks, products. Declarations only; what is done with them is the engine's."""

from __future__ import annotations

from sqlalchemy.orm import Mapped

from crm_core.kernel.db import text
from crm_core.records.dictionary import options
from crm_core.records.entity import Entity, Numbered, Owned, Record, Recyclable, Staged, StageWord
from crm_core.records.fields import code, day, line, moment, money, note, reference, yesno


class Ticket(Numbered, Staged, Owned, Recyclable, Record):
    """A service case of a customer, from the first word to its solution."""

    __tablename__ = "ticket"
    entity = Entity(
        name="ticket", one="Ticket", many="Tickets", path="tickets", icon="ticket", title="subject",
        columns="number subject customer_id stage priority kind owner_id due_at changed_at",
        search="number subject",
        form="subject customer_id kind priority description owner_id due_at solution",
        filters="stage priority kind owner_id due_at",
        sorts="changed_at created_at number due_at",
        number="T-{yy}{mm}-{n:04}",
        stages=(
            StageWord(key="new", label="New", tone="blue"),
            StageWord(key="working", label="In work", tone="amber"),
            StageWord(key="waiting", label="Waiting for the customer", tone="violet"),
            StageWord(key="solved", label="Solved", tone="green", closed=True),
            StageWord(key="closed", label="Closed", tone="grey", closed=True),
        ),
        flow={
            "new": "working waiting solved closed", "working": "waiting solved closed", "waiting": "working solved closed",
            "solved": "closed working", "closed": "working",
        },
        new="New ticket", empty="What a customer needs and can't have at once is written down here.", timeline=True,
    )  # fmt: skip
    subject: Mapped[str] = line("Subject", 200, required=True)
    customer_id: Mapped[int | None] = reference("Customer", "customer", "customer")
    kind: Mapped[str] = code("Kind", "ticket_kind")
    priority: Mapped[str] = code("Priority", "priority", start="normal")
    description: Mapped[str] = note("Description")
    solution: Mapped[str] = note("Solution", hint="Asked for before a ticket counts as solved.")
    due_at: Mapped[float | None] = moment("Due")


class FollowUp(Owned, Recyclable, Record):
    """What was said or agreed with a customer, and when to be in touch again."""

    __tablename__ = "follow_up"
    entity = Entity(
        name="follow_up", one="Follow-up", many="Follow-ups", path="follow-ups", icon="followup", title="subject",
        columns="subject customer_id kind result next_on owner_id created_at",
        search="subject",
        form="customer_id subject kind result description next_on owner_id",
        filters="kind result next_on owner_id",
        sorts="created_at next_on changed_at", sort="-created_at",
        new="New follow-up", empty="Each talk, mail or visit with a customer, and when the next one is due.", timeline=True,
    )  # fmt: skip
    subject: Mapped[str] = line("Subject", 200, required=True)
    customer_id: Mapped[int | None] = reference("Customer", "customer", "customer", required=True)
    kind: Mapped[str] = code("Kind", "follow_up_kind", start="call")
    result: Mapped[str] = code("Result", "follow_up_result")
    description: Mapped[str] = note("Notes")
    next_on: Mapped[str | None] = day("Next on")


class Task(Staged, Owned, Recyclable, Record):
    """Something to be done, by oneself or by somebody else."""

    __tablename__ = "task"
    entity = Entity(
        name="task", one="Task", many="Tasks", path="tasks", icon="task", title="subject",
        columns="subject stage priority owner_id due_at customer_id changed_at",
        search="subject",
        form="subject owner_id priority due_at customer_id description",
        filters="stage priority owner_id due_at",
        sorts="due_at changed_at created_at", sort="due_at",
        stages=(
            StageWord(key="open", label="Open", tone="blue"),
            StageWord(key="doing", label="In work", tone="amber"),
            StageWord(key="done", label="Done", tone="green", closed=True),
            StageWord(key="dropped", label="Dropped", tone="grey", closed=True),
        ),
        flow={"open": "doing done dropped", "doing": "done open dropped", "done": "open", "dropped": "open"},
        new="New task", empty="What you or your people have to do. Comments go to whoever owns it.",
    )  # fmt: skip
    subject: Mapped[str] = line("Subject", 200, required=True)
    customer_id: Mapped[int | None] = reference("Customer", "customer", "customer")
    priority: Mapped[str] = code("Priority", "priority", start="normal")
    due_at: Mapped[float | None] = moment("Due")
    description: Mapped[str] = note("Description")


class Product(Numbered, Recyclable, Record):
    """Something the firm sells or looks after."""

    __tablename__ = "product"
    entity = Entity(
        name="product", one="Product", many="Products", path="products", icon="product", title="name",
        columns="number name category unit price cost on_sale changed_at",
        search="number name",
        form="name category unit price cost on_sale stock_note description",
        filters="category on_sale",
        sorts="name number changed_at price", sort="name",
        number="P-{n:05}",
        new="New product", empty="What you sell: with its price here, quotes and orders need no typing.",
    )  # fmt: skip
    name: Mapped[str] = line("Name", 120, required=True)
    initials: Mapped[str] = text(60)
    category: Mapped[str] = code("Category", "product_category")
    unit: Mapped[str] = line("Unit", 20)
    price: Mapped[int | None] = money("Price")
    cost: Mapped[int | None] = money("Cost")
    on_sale: Mapped[bool] = yesno("On sale", start=True)
    stock_note: Mapped[str] = line("Stock note", 200)
    description: Mapped[str] = note("Description")


RECORDS: tuple[type[Record], ...] = (Ticket, FollowUp, Task, Product)
LISTS = (
    options("priority", "Priority", "urgent Urgent|red", "high High|amber", "normal Normal", "low Low"),
    options("ticket_kind", "Kind of ticket", "fault Fault|red", "question Question|blue", "delivery Delivery", "invoice Invoice", "wish Wish|violet", "other Other"),
    options("follow_up_kind", "Kind of follow-up", "call Call", "visit Visit", "mail Mail", "message Message", "meeting Meeting"),
    options("follow_up_result", "Result of a follow-up", "interested Interested|green", "think Thinks about it|amber", "later Later", "not_reached Not reached", "refused Not interested|red"),
    options("product_category", "Category of products", "machine Machines", "part Parts", "service Services", "other Other"),
)  # fmt: skip
