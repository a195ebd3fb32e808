"""The schema files are the one source of catalog, docs and checks: each is well formed, complete and fit to be read."""

from __future__ import annotations

import copy
import hashlib
import json
import re
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from trunkline.doors import docs
from trunkline.doors.vendors import vendor_taps
from trunkline_contract import schema_file
from trunkline_contract.schema_file import types, walk

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMAS = Path(__file__).resolve().parent.parent / "schemas"

# RFC 3339: an instant with a zone. Written out, because jsonschema checks date-times only with an optional package.
INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?(Z|[+-]\d{2}:\d{2})")


class Facts(NamedTuple):
    """What a stream's schema must say, typed by hand from the contract and the vendor's page."""

    primary_keys: tuple[str, ...]
    replication_key: str | None
    fields: str
    personal: str


# Field names stand here a second time on purpose: a field that falls out of a schema file must be missed by somebody.
STREAMS: dict[str, Facts] = {
    "bspk/calls": Facts(
        ("call_key",),
        "created_at",
        "call_key store_id store_name sales_associate_id sales_associate_name client_id client_name to created_at",
        "sales_associate_id sales_associate_name client_id client_name to",
    ),
    "bspk/messages": Facts(
        ("message_key",),
        "created_at",
        "message_key store_id store_name sales_associate_id sales_associate_name client_id client_name body channel "
        "template_id template_name slice_id media created_at",
        "sales_associate_id sales_associate_name client_id client_name body media",
    ),
    "bspk/emails": Facts(
        ("email_key",),
        "created_at",
        "email_key store_id store_name sales_associate_id sales_associate_name client_id client_name template_id "
        "template_name slice_id media created_at",
        "sales_associate_id sales_associate_name client_id client_name media",
    ),
    "bspk/notes": Facts(
        ("note_key",),
        "created_at",
        "note_key store_id store_name sales_associate_id sales_associate_name client_id client_name body media "
        "created_at",
        "sales_associate_id sales_associate_name client_id client_name body media",
    ),
    "bspk/appointments": Facts(
        ("appointment_key",),
        "updated_at",
        "appointment_key store_id store_name sales_associate_id sales_associate_name client_id client_name title body "
        "starts_at ends_at is_done is_done_at notes created_at updated_at",
        "sales_associate_id sales_associate_name client_id client_name title body notes",
    ),
    "bspk/reminders": Facts(
        ("reminder_key",),
        "updated_at",
        "reminder_key store_id store_name sales_associate_id sales_associate_name client_id client_name title body "
        "starts_at ends_at is_done is_done_at notes created_at updated_at",
        "sales_associate_id sales_associate_name client_id client_name title body notes",
    ),
    "bspk/slices": Facts(
        ("slice_key",),
        "updated_at",
        "slice_key store_id store_name created_by_sales_associate_id created_by_sales_associate_name title body "
        "created_at updated_at item_ids",
        "created_by_sales_associate_id created_by_sales_associate_name",
    ),
    "bspk/sales_associates": Facts(
        ("sales_associate_key",),
        "updated_at",
        "sales_associate_key created_at updated_at current_store_id associate_id associate_id_2 sales_associate_name "
        "username email mobile_phone job_title imessage_enabled wechat_enabled wechat_code line_enabled adyen_enabled",
        "associate_id associate_id_2 sales_associate_name username email mobile_phone wechat_code",
    ),
    "bspk/clients": Facts(
        ("client_id",),
        "updated_at",
        "current_sales_associate_id current_sales_associate_name current_store_id current_store_name client_id name "
        "first_name last_name email mobile_phone other_phone birthday gender nationality passport_number language "
        "title address addresses addresses[].address addresses[].address_2 addresses[].address_3 "
        "addresses[].address_4 addresses[].city addresses[].state addresses[].zip addresses[].country_code "
        "preferred_contact_channel communication_preferences communication_preferences.chat_opt_in "
        "communication_preferences.email_opt_in communication_preferences.phone_opt_in "
        "communication_preferences.whatsapp_opt_in communication_preferences.wechat_opt_in "
        "communication_preferences.line_opt_in communication_preferences.opt_out preferences interests "
        "preferred_journey segment referred_by_client_id referred_at consent notify_of_new_collection "
        "last_contacted_at created_at updated_at",
        "current_sales_associate_id current_sales_associate_name client_id name first_name last_name email "
        "mobile_phone other_phone birthday gender nationality passport_number language title address addresses "
        "addresses[].address addresses[].address_2 addresses[].address_3 addresses[].address_4 addresses[].city "
        "addresses[].state addresses[].zip addresses[].country_code preferences interests referred_by_client_id",
    ),
    "switchtransact/contacts": Facts(
        ("id",),
        None,
        "id firstname lastname customer_number company businessphone businessphone2 mobilephone email entity_type",
        "firstname lastname customer_number company businessphone businessphone2 mobilephone email",
    ),
    "switchtransact/contact_lookups": Facts(
        ("kind", "value"), None, "kind value matched contact_ids contact_id", "value"
    ),
    "hostedsuite/calls": Facts(
        ("Id",),
        "StartTime",
        "Id ClientId ClientName CenterId StartTime CallerName CallerNumber TransferToName TransferToNumber Notes "
        "DurationInSeconds RingTimeInSeconds HoldTimeInSeconds HoldCount Interactions Interactions[].StartTime "
        "Interactions[].Type Interactions[].Description AnsweredBy Server TalkTimeInSeconds TransferTimeInSeconds "
        "ScreenPop CompletedFormIds Flagged FlagNotes Type WorkTimeInSeconds",
        "ClientId ClientName CallerName CallerNumber TransferToName TransferToNumber Notes Interactions[].Description "
        "AnsweredBy ScreenPop FlagNotes",
    ),
    "switchtransact/agents": Facts(
        ("id",),
        None,
        "id name agent_code email mobile address company_lookups_id is_commission is_active branches_regions_id",
        "name agent_code email mobile address",
    ),
    "switchtransact/branches": Facts(
        ("id",),
        None,
        "id branches_regions_id title is_active",
        "",
    ),
    "switchtransact/lookups": Facts(
        ("type", "category", "title"),
        None,
        "id type title category value parent_lookups_id",
        "",
    ),
    "switchtransact/transactions": Facts(
        ("transaction_number",),
        "transaction_date",
        "transaction_number amount status transaction_date id_number company_name response_reason reference_number "
        "member_number workflow_reference",
        "id_number company_name reference_number member_number workflow_reference",
    ),
    "hostedsuite/clients": Facts(
        ("Id",),
        None,
        "Id DateLastModified Name CenterId CenterName ScreenPops Greeting CallInstructions PopupInformation "
        "Information FaxNumber CustomFields CustomFields[].Name CustomFields[].Value Address Address.Street1 "
        "Address.Street2 Address.City Address.State Address.PostalCode Address.Country ThirdPartyAccountId "
        "CallAllowanceType CallAllowanceAmount Links Links[].Id Links[].Name Links[].Url IndustryId IndustryName "
        "Location",
        "Id Name ScreenPops ScreenPops[] Greeting CallInstructions PopupInformation Information FaxNumber "
        "CustomFields CustomFields[] CustomFields[].Name CustomFields[].Value Address Address.Street1 "
        "Address.Street2 Address.City Address.State Address.PostalCode Address.Country ThirdPartyAccountId Links "
        "Links[] Links[].Id Links[].Name Links[].Url Location",
    ),
    "hostedsuite/centers": Facts(
        ("Id",),
        None,
        "Id DateLastModified Name Address Address.Street1 Address.Street2 Address.City Address.State "
        "Address.PostalCode Address.Country TimeZoneId SupportEmailAddress ThirdPartyAccountId",
        "",
    ),
    "hostedsuite/contacts": Facts(
        ("Id",),
        None,
        "Id DateLastModified ClientName ClientId CenterId CenterName FirstName LastName Alert Name Status Location "
        "LongDistanceCode CallInstructions Information MoreInformation Title UserGroupId GreetingOverride Keywords "
        "Address Address.Street1 Address.Street2 Address.City Address.State Address.PostalCode Address.Country "
        "PhoneNumbers PhoneNumbers[].Id PhoneNumbers[].Name PhoneNumbers[].Number PhoneNumbers[].DialingRuleId "
        "PhoneNumbers[].Mobile PhoneNumbers[].TransferTypes EmailAddresses EmailAddresses[].Id "
        "EmailAddresses[].Address EmailAddresses[].Name EmailAddresses[].IncludeInNotification",
        "ClientName ClientId FirstName LastName Alert Name Status Location LongDistanceCode CallInstructions "
        "Information MoreInformation Title GreetingOverride Keywords Keywords[] Address Address.Street1 "
        "Address.Street2 Address.City Address.State Address.PostalCode Address.Country PhoneNumbers PhoneNumbers[] "
        "PhoneNumbers[].Id PhoneNumbers[].Name PhoneNumbers[].Number PhoneNumbers[].DialingRuleId "
        "PhoneNumbers[].TransferTypes EmailAddresses EmailAddresses[] EmailAddresses[].Id EmailAddresses[].Address "
        "EmailAddresses[].Name",
    ),
    "hostedsuite/charges": Facts(
        ("Id",),
        "DateLastModified",
        "EntityStatus Id ClientId ClientName DateCreated DateOfCharge DateLastModified Service ServiceId Quantity "
        "Cost Description Notes Memorized BillingCode",
        "ClientId ClientName Description Notes",
    ),
    "hostedsuite/reservations": Facts(
        ("Id",),
        "DateLastModified",
        "Id EntityStatus CenterId CenterName CenterAddress MeetingRoomId MeetingRoomName StartTime EndTime Subject "
        "Status Notes PaymentStatus ClientId ClientName IsRecurring OriginalDate DateLastModified LastModifiedBy "
        "Attendees Attendees[].Name Attendees[].EmailAddress NumAttendees Organizer Organizer.Name "
        "Organizer.EmailAddress CustomFields CustomFields[].Name CustomFields[].Value",
        "Subject Notes ClientId ClientName LastModifiedBy Attendees Attendees[] Attendees[].Name "
        "Attendees[].EmailAddress Organizer Organizer.Name Organizer.EmailAddress CustomFields CustomFields[] "
        "CustomFields[].Name CustomFields[].Value",
    ),
    "conpeek/voice_campaign_requests": Facts(
        ("id",),
        "changed_at",
        "id changed_at voice_campaign_id name contact_info contact_identifier case_id case_group contact_number "
        "current_contact_number consultant_try contact_try user_reservation_try priority process_not_before "
        "process_date process_time process_from_date process_to_date process_days process_hours process_from_time "
        "process_to_time dialing_method state application_state call_state call_state_reason close_reason project_id "
        "tenant_user_id assigned_tenant_user_id call_info trigger_code custom created_date closed_date custom_fields "
        "history call_history dialogs dialogs[].dialog_uuid dialogs[].dialog_type dialogs[].business_direction "
        "dialogs[].business_end_cause dialogs[].from_display_target dialogs[].to_display_target dialogs[].start_time "
        "dialogs[].hangup_time dialogs[].serve_time dialogs[].alert_time dialogs[].answer_time dialogs[].ring_time "
        "dialogs[].talking_time dialogs[].waiting_time dialogs[].first_queue_waiting_time dialogs[].machine_detected "
        "dialogs[].machine_detected_type voice_campaign_name current_contact_name case_state project_name "
        "assigned_tenant_user_name process_day",
        "name contact_info contact_identifier case_id contact_number current_contact_number tenant_user_id "
        "assigned_tenant_user_id call_info custom custom_fields history call_history dialogs "
        "dialogs[].from_display_target dialogs[].to_display_target current_contact_name assigned_tenant_user_name",
    ),
    "conpeek/cdr_dialogs": Facts(
        ("dialog_uuid",),
        "hangup_time",
        "dialog_uuid dialog_type business_direction business_end_cause from_display_target to_display_target "
        "start_time hangup_time serve_time talking_time alert_time answer_time ring_time waiting_time "
        "first_queue_waiting_time machine_detected machine_detected_type",
        "from_display_target to_display_target",
    ),
    "evolux/studio_calls": Facts(
        ("id",),
        "start_time",
        "id exit_reason system_hangup_reason uuid call_flow call_flow.id call_flow.name start_time caller who_hangup "
        "project project.id project.name end_time duration exit_transfer_destination did_number",
        "caller exit_transfer_destination",
    ),
    "evolux/studio_cdr": Facts(
        ("call_id",),
        "call_start_time",
        "call_id call_start_time destination_number enter_time_epoch call_flow_version exit_reason call_flow_name "
        "executed_tasks executed_tasks[].end_time_epoch executed_tasks[].task_id executed_tasks[].task_raw_params "
        "executed_tasks[].task_description executed_tasks[].task_name executed_tasks[].start_time_epoch hostname "
        "who_hangup system_hangup_reason source call_flow_id session_uuid caller_id_number project_id incoming_did "
        "project_name caller_id_name exit_time_epoch studio_version tenant_domain call_uuid exit_transfer_destination",
        "destination_number executed_tasks[].task_raw_params caller_id_number caller_id_name exit_transfer_destination",
    ),
}

STREAMS |= {
    "evolux/dialer_calls": Facts(
        ("id",),
        "start_time",
        "id uuid start_time answer_time end_time campaign campaign.id campaign.name agent agent.id agent.name "
        "subscriber subscriber.external_id subscriber.number subscriber.name survey survey.csat survey.nps "
        "talking_duration billable_duration outcome hangup_cause end_by classification trunk_name custom_fields "
        "download_audio",
        "agent subscriber custom_fields download_audio",
    ),
    "evolux/agent_pauses": Facts(
        ("agent_id", "time_start"),
        "time_start",
        "agent_id time_start description time_end agent agent.login agent.id agent.name limit duration overflow",
        "agent",
    ),
    "evolux/agents": Facts(
        ("id",),
        None,
        "id name login archived enable queues current_extension current_outbound_queue current_pause last_pause "
        "last_pause.id last_pause.time_start last_pause.time_end last_pause.max_duration last_pause.reason_id "
        "last_pause.reason last_pause.reason.id last_pause.reason.description last_pause.reason.system "
        "last_pause.reason.productive last_pause.reason.type last_login last_login.id last_login.exten "
        "last_login.time_login last_login.time_logoff",
        "name login current_extension last_login.exten",
    ),
    "evolux/queues": Facts(("id",), None, "id name slug number public_number", ""),
    "evolux/queue_calls": Facts(
        ("call_id",),
        "date_join",
        "call_id queue_id queue_name queue_slug agent_id agent_login agent_name call_type_description date_join "
        "time_join time_connect time_leave wait_duration call_duration asa call_reason call_issues caller_name "
        "caller_number caller_area receicer_name receiver_number receiver_area did_number city state csat nps "
        "nps_enterprise protocol_number flag trunk_name end_by_description external_services download_audio",
        "agent_login agent_name caller_name caller_number caller_area receicer_name receiver_number receiver_area city "
        "state external_services download_audio",
    ),
}

# Instants below the replication key. Whatever stands here the tap writes with a zone.
OTHER_INSTANTS: dict[str, str] = {
    "bspk/appointments": "starts_at ends_at is_done_at created_at",
    "bspk/reminders": "starts_at ends_at is_done_at created_at",
    "bspk/slices": "created_at",
    "bspk/sales_associates": "created_at",
    "bspk/clients": "referred_at last_contacted_at created_at",
    "conpeek/cdr_dialogs": "start_time serve_time alert_time answer_time ring_time",
    "hostedsuite/calls": "Interactions[].StartTime",
    "hostedsuite/clients": "DateLastModified",
    "hostedsuite/centers": "DateLastModified",
    "hostedsuite/contacts": "DateLastModified",
    "hostedsuite/charges": "DateCreated DateOfCharge",
    "hostedsuite/reservations": "StartTime EndTime OriginalDate",
    "conpeek/voice_campaign_requests": "process_not_before process_from_date process_to_date created_date closed_date",
    "evolux/studio_calls": "end_time",
    "evolux/dialer_calls": "answer_time end_time",
    "evolux/agent_pauses": "time_end",
    "evolux/agents": "last_pause.time_start last_pause.time_end last_login.time_login last_login.time_logoff",
    "evolux/queue_calls": "time_join time_connect time_leave",
}

BSPK_CALL: dict[str, Any] = {
    "store_id": "Store-external_id-47",
    "store_name": "Store-56",
    "sales_associate_id": "SA_01",
    "sales_associate_name": "FirstName-79 LastName-79",
    "client_id": "EXTERNAL_ID_145",
    "client_name": "FirstName-80 LastName-80",
    "to": None,
    "created_at": "2024-08-07T12:29:23.594Z",
}
SWITCHTRANSACT_CONTACT: dict[str, Any] = {
    "id": "2916509f-f188-42d8-ab0e-a27bcb20d70d",
    "firstname": "James",
    "lastname": "May",
    "customer_number": "3008821",
    "company": "My Company name",
    "businessphone": None,
    "businessphone2": None,
    "mobilephone": "+27721234567",
    "email": "james@may.com",
    "entity_type": "Account",
}
# The vendor's page prints the word String for every text; the tap never emits that as a time, so here is an instant.
HOSTEDSUITE_CALL: dict[str, Any] = {
    "Id": "String",
    "ClientId": "String",
    "ClientName": "String",
    "CenterId": "String",
    "StartTime": "2024-08-07T12:29:23Z",
    "CallerName": "String",
    "CallerNumber": "String",
    "TransferToName": "String",
    "TransferToNumber": "String",
    "Notes": "String",
    "DurationInSeconds": 0,
    "RingTimeInSeconds": 0,
    "HoldTimeInSeconds": 0,
    "HoldCount": 0,
    "AnsweredBy": "String",
    "Server": "String",
    "TalkTimeInSeconds": 0,
    "TransferTimeInSeconds": 0,
    "ScreenPop": "String",
    "Flagged": False,
    "FlagNotes": "String",
    "Type": "String",
    "WorkTimeInSeconds": 0,
}
HOSTEDSUITE_CALL_IN_FULL: dict[str, Any] = HOSTEDSUITE_CALL | {
    "DurationInSeconds": 61.5,
    "Interactions": [{"StartTime": "2024-08-07T08:29:25-04:00", "Type": "Hold", "Description": "On hold", "New": 1}],
    "CompletedFormIds": ["5b7c389fe8df7b60af688990"],
}
# The page prints no record; this one has the forms that the vendor's payload examples show.
CONPEEK_REQUEST: dict[str, Any] = {
    "id": "5b7c389fe8df7b60af688990",
    "voice_campaign_id": "5b7c389fe8df7b60af688989",
    "contact_number": "123123123",
    "consultant_try": 0,
    "priority": 1,
    "process_date": "ANY",
    "process_time": "RANGE",
    "process_not_before": None,
    "process_from_time": 36000,
    "process_to_time": 61200,
    "process_days": None,
    "process_hours": ["8", "9-10", None],
    "dialing_method": "PROGRESSIVE",
    "state": "OPEN",
    "application_state": "NEW",
    "call_info": {"Interested": {"value": "yes", "tenant_user_id": 7, "date": "2021-08-10 00:00:00"}},
    "custom": '{"parametrx":"1"}',
    "created_date": "2021-08-10T00:00:00Z",
    "closed_date": None,
    "history": [{"state": "OPEN"}],
    "call_history": [],
    "dialogs": [{"dialog_uuid": "d-1", "start_time": "2021-08-10T00:00:01Z", "talking_time": 1500, "new": [1]}],
}
EVOLUX_TRANSFERRED: dict[str, Any] = {
    "exit_reason": "transfer",
    "system_hangup_reason": None,
    "uuid": "2",
    "call_flow": {"id": 2, "name": "Test 1"},
    "start_time": "2020-01-12T13:00:00+00:00",
    "caller": "11999482052",
    "who_hangup": None,
    "project": {"id": 1, "name": "Test"},
    "end_time": "2020-01-12T13:01:00+00:00",
    "duration": 60,
    "exit_transfer_destination": "5050",
    "id": 2,
    "did_number": None,
}
EVOLUX_HUNG_UP: dict[str, Any] = {
    "exit_reason": "hangup",
    "system_hangup_reason": "hangup_task",
    "uuid": "1",
    "call_flow": {"id": 1, "name": "Test"},
    "start_time": "2020-01-12T11:59:00+00:00",
    "caller": "600",
    "who_hangup": "system",
    "project": {"id": 1, "name": "Test"},
    "end_time": "2020-01-12T11:59:59+00:00",
    "duration": 59,
    "exit_transfer_destination": None,
    "id": 1,
    "did_number": None,
}
EVOLUX_CDR: dict[str, Any] = {
    "destination_number": "5050",
    "enter_time_epoch": 1580327987,
    "call_flow_version": None,
    "exit_reason": "hangup",
    "call_flow_name": "teste",
    "executed_tasks": [
        {
            "end_time_epoch": 1580327988,
            "task_id": "bff2195a-493a-402c-8bc8-4d125eb58aee",
            "task_raw_params": {},
            "task_description": "Iniciar",
            "task_name": "start",
            "start_time_epoch": 1580327988,
        },
        {
            "end_time_epoch": 1580327988,
            "task_id": "1184e6e2-d480-4b08-84e1-c01d29b5919a",
            "task_raw_params": {
                "data_type": "formdata",
                "url": "https://api.randomuser.me/",
                "verify": True,
                "auth": None,
                "headers": {},
                "params": {},
                "timeout": 30,
                "variable_name": "res",
                "data": {},
                "method": "GET",
            },
            "task_description": "HTTP",
            "task_name": "http",
            "start_time_epoch": 1580327988,
        },
        {
            "end_time_epoch": 1580327988,
            "task_id": "ad9d49c3-d6cc-4416-8099-7779e54b0c8f",
            "task_raw_params": {"cause": "NORMAL_CLEARING"},
            "task_description": "Desligar",
            "task_name": "hangup",
            "start_time_epoch": 1580327988,
        },
    ],
    "hostname": "example.evolux.net.br",
    "who_hangup": "system",
    "system_hangup_reason": "hangup_task",
    "source": "studio",
    "call_flow_id": "1",
    "session_uuid": "abcd05f6-42d1-11ea-9c86-2dfde66a88cb",
    "caller_id_number": "601",
    "project_id": "1",
    "incoming_did": None,
    "project_name": "teste",
    "caller_id_name": "601 - OP",
    "exit_time_epoch": 1580327988,
    "studio_version": "1.0.5",
    "tenant_domain": None,
    "call_uuid": "761a05f6-42d1-11ea-9c86-2dfde66a88cb",
    "exit_transfer_destination": None,
}


CONTACT: dict[str, Any] = {
    "store_id": "Store-47",
    "store_name": None,
    "sales_associate_id": "SA_01",
    "sales_associate_name": "Ann Example",
    "client_id": "C-7",
    "client_name": "Bo Example",
    "created_at": "2026-01-02T03:04:05.678Z",
}
ENTRY: dict[str, Any] = CONTACT | {
    "title": "Fitting",
    "body": "Two pieces",
    "starts_at": "2026-01-09T10:00:00.000Z",
    "ends_at": None,
    "is_done": False,
    "is_done_at": None,
    "notes": "Two pieces",
    "updated_at": "2026-01-03T03:04:05.678Z",
}
FROM_TEMPLATE: dict[str, Any] = {"template_id": "2", "template_name": "Welcome", "slice_id": 4, "media": [{"url": "u"}]}
# The keys are any digest here: what they are made from is the affair of the taps' tests.
BSPK_OTHERS: list[tuple[str, dict[str, Any]]] = [
    ("bspk/messages", CONTACT | FROM_TEMPLATE | {"message_key": "0a", "body": None, "channel": "wechat"}),
    ("bspk/emails", CONTACT | FROM_TEMPLATE | {"email_key": "0a"}),
    ("bspk/notes", CONTACT | {"note_key": "0a", "body": "Likes blue", "media": []}),
    ("bspk/appointments", ENTRY | {"appointment_key": "0a"}),
    ("bspk/reminders", ENTRY | {"reminder_key": "0a"}),
    (
        "bspk/slices",
        {
            "slice_key": "0a",
            "store_id": "Store-47",
            "created_by_sales_associate_id": "SA_01",
            "title": None,
            "body": None,
            "created_at": "2026-01-02T03:04:05.678Z",
            "updated_at": "2026-01-02T03:04:05.678Z",
            "item_ids": ["ITEM_1"],
        },
    ),
    (
        "bspk/sales_associates",
        {
            "sales_associate_key": "0a",
            "created_at": "2026-01-02T03:04:05.678Z",
            "updated_at": "2026-01-02T03:04:05.678Z",
            "associate_id": None,
            "username": "ann",
            "imessage_enabled": True,
            "wechat_code": None,
        },
    ),
    (
        "bspk/clients",
        {
            "client_id": "C-7",
            "name": "Bo Example",
            "gender": None,
            "passport_number": None,
            "address": "",
            "addresses": [{"city": "Lyon", "zip": None, "new": 1}],
            "communication_preferences": {"opt_out": False, "new": [1]},
            "preferences": [{"any": 1}, "text"],
            "interests": [],
            "referred_at": None,
            "updated_at": "2026-01-02T03:04:05.678Z",
        },
    ),
]
CONPEEK_DIALOG: dict[str, Any] = {
    "dialog_uuid": "d-1",
    "business_direction": "INBOUND",
    "start_time": "2021-08-10T00:00:00+00:00",
    "hangup_time": "2021-08-10T00:01:00+00:00",
    "talking_time": 10000,
    "answer_time": None,
    "machine_detected": False,
}


def call_key(call: dict[str, Any]) -> str:
    """The contract's key of a BSPK call, written out here so that the test does not lean on the tap."""
    parts = [call["sales_associate_id"], call["client_id"], call["created_at"]]
    text = json.dumps(parts, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


HOSTEDSUITE_CLIENT: dict[str, Any] = {
    "Id": "c1",
    "DateLastModified": "2026-01-02T03:04:05+00:00",
    "Name": "Ann Example",
    "ScreenPops": ["Ann"],
    "CustomFields": [{"Name": "Tariff", "Value": "B"}],
    "Address": {"Street1": "1 Main Street", "City": "Lyon"},
    "CallAllowanceType": "NumberOfCalls",
    "CallAllowanceAmount": 12.5,
    "Links": [{"Id": "l1", "Name": "Web", "Url": "https://ann.example"}],
}
HOSTEDSUITE_CONTACT: dict[str, Any] = {
    "Id": "p1",
    "ClientId": "c1",
    "Keywords": ["ann"],
    "PhoneNumbers": [{"Id": "n1", "Name": "Mobile", "Number": "+33123", "Mobile": True, "TransferTypes": "Both"}],
    "EmailAddresses": [{"Id": "e1", "Address": "ann@may.com", "IncludeInNotification": False, "New": 1}],
}
HOSTEDSUITE_CHARGE: dict[str, Any] = {
    "Id": "h1",
    "DateLastModified": "2026-01-02T03:04:05Z",
    "DateOfCharge": "2026-01-01T00:00:00Z",
    "Quantity": 1.5,
    "Cost": None,
    "Memorized": False,
}
HOSTEDSUITE_RESERVATION: dict[str, Any] = {
    "Id": "r1",
    "DateLastModified": "2026-01-02T03:04:05Z",
    "StartTime": "2026-02-01T08:00:00Z",
    "EndTime": "2026-02-01T09:00:00Z",
    "Status": "Scheduled",
    "PaymentStatus": "NotPaid",
    "IsRecurring": False,
    "Attendees": [{"Name": "Ann", "EmailAddress": "ann@may.com"}],
    "NumAttendees": 3,
    "Organizer": {"Name": "Ann", "EmailAddress": "ann@may.com"},
}
SWITCHTRANSACT_AGENT: dict[str, Any] = {
    "id": "2916509f-f188-42d8-ab0e-a27bcb20d70e",
    "name": "Ann Example",
    "agent_code": "A7",
    "email": "ann@may.com",
    "mobile": "+27721234567",
    "address": "1 Long Street",
    "is_commission": True,
    "is_active": False,
}
SWITCHTRANSACT_TRANSACTION: dict[str, Any] = {
    "transaction_number": "2916509f-f188-42d8-ab0e-a27bcb20d70f",
    "amount": "150.00",
    "status": "Transmission Accepted (with warnings)",
    "transaction_date": "2024-03-01T00:00:00.000Z",
    "id_number": "0001015009087",
    "company_name": "",
    "response_reason": "",
    "reference_number": "R1",
    "member_number": "3008821",
    "workflow_reference": "W1",
}
_LATER_BSPK_CALL = BSPK_CALL | {"created_at": "2024-08-07T12:29:23.599Z"}
SAMPLES: list[tuple[str, dict[str, Any]]] = [
    ("bspk/calls", {"call_key": call_key(BSPK_CALL)} | BSPK_CALL),
    ("bspk/calls", {"call_key": call_key(_LATER_BSPK_CALL)} | _LATER_BSPK_CALL),
    ("switchtransact/contacts", SWITCHTRANSACT_CONTACT),
    (
        "switchtransact/contact_lookups",
        {
            "kind": "phone",
            "value": "+27721234567",
            "matched": True,
            "contact_ids": [SWITCHTRANSACT_CONTACT["id"]],
            "contact_id": SWITCHTRANSACT_CONTACT["id"],
        },
    ),
    (
        "switchtransact/contact_lookups",
        {"kind": "email", "value": "nobody@may.com", "matched": False, "contact_ids": [], "contact_id": None},
    ),
    ("hostedsuite/calls", HOSTEDSUITE_CALL),
    ("hostedsuite/calls", HOSTEDSUITE_CALL_IN_FULL),
    ("hostedsuite/clients", HOSTEDSUITE_CLIENT),
    ("hostedsuite/centers", {"Id": "z1", "Name": "Lakeside", "TimeZoneId": "Eastern Standard Time"}),
    ("hostedsuite/contacts", HOSTEDSUITE_CONTACT),
    ("hostedsuite/charges", HOSTEDSUITE_CHARGE),
    ("hostedsuite/reservations", HOSTEDSUITE_RESERVATION),
    ("switchtransact/agents", SWITCHTRANSACT_AGENT),
    ("switchtransact/branches", {"id": "b1", "branches_regions_id": "g1", "title": "Durban", "is_active": True}),
    ("switchtransact/lookups", {"type": "bank", "category": "accounts", "title": "Cheque", "id": None, "value": "1"}),
    ("switchtransact/transactions", SWITCHTRANSACT_TRANSACTION),
    ("conpeek/voice_campaign_requests", {"changed_at": CONPEEK_REQUEST["created_date"]} | CONPEEK_REQUEST),
    *BSPK_OTHERS,
    ("conpeek/cdr_dialogs", CONPEEK_DIALOG),
    ("evolux/studio_calls", EVOLUX_TRANSFERRED),
    ("evolux/studio_calls", EVOLUX_HUNG_UP),
    ("evolux/studio_cdr", {"call_id": 1, "call_start_time": EVOLUX_HUNG_UP["start_time"]} | EVOLUX_CDR),
]
SAMPLES += [
    (
        "evolux/dialer_calls",
        {
            "id": 5,
            "uuid": "d-5",
            "start_time": "2026-01-02T03:04:05+00:00",
            "answer_time": None,
            "end_time": "2026-01-02T03:04:25+00:00",
            "campaign": {"id": 7, "name": "Renewals"},
            "agent": None,
            "subscriber": {"external_id": "C-1", "number": "11999482052", "name": "Ann Example"},
            "survey": {"csat": None, "nps": 9},
            "talking_duration": 0,
            "billable_duration": 41.5,
            "outcome": "-",
            "hangup_cause": "USER_BUSY",
        },
    ),
    (
        "evolux/agent_pauses",
        {
            "agent_id": 3,
            "time_start": "2026-01-02T03:04:05+00:00",
            "description": "Lunch",
            "time_end": None,
            "agent": {"login": "ann", "id": 3, "name": "Ann Example"},
            "limit": None,
            "duration": 61,
            "overflow": 0,
        },
    ),
    (
        "evolux/agents",
        {
            "id": 3,
            "name": "Ann Example",
            "login": "ann",
            "archived": False,
            "enable": True,
            "queues": [1, 2],
            "current_extension": "sip/1",
            "current_pause": '{"id":4}',
            "last_pause": {"id": 4, "time_start": "2026-01-02T03:04:05+00:00", "reason": {"id": 1, "system": True}},
            "last_login": {"id": 8, "exten": "sip/1", "time_login": "2026-01-02T03:00:00+00:00", "time_logoff": None},
        },
    ),
    ("evolux/queues", {"id": 1, "name": "Support", "slug": "support", "number": "5001", "public_number": None}),
    (
        "evolux/queue_calls",
        {
            "call_id": 9,
            "queue_id": 1,
            "agent_id": None,
            "call_type_description": "Entrada",
            "date_join": "2026-01-02T03:04:05+00:00",
            "time_connect": None,
            "time_leave": None,
            "call_duration": 0,
            "call_issues": [],
            "csat": "",
            "external_services": [{"name": "crm"}],
        },
    ),
]
SAMPLE_IDS = [f"{stream}-{number}" for number, (stream, _) in enumerate(SAMPLES)]

instants = FormatChecker(formats=())


@instants.checks("date-time")
def is_instant(value: object) -> bool:
    """Whether a text is an instant with a zone that exists in the calendar; other types are not its business."""
    if not isinstance(value, str):
        return True
    if not INSTANT.fullmatch(value):
        return False
    try:
        # Python 3.10 reads neither `Z` nor fractions of any length, and neither is needed to judge day and hour.
        datetime.strptime(value[:19] + "+0000", "%Y-%m-%dT%H:%M:%S%z")
    except ValueError:
        return False
    return True


def load(stream: str) -> dict[str, Any]:
    """The schema file of a stream such as `bspk/calls`."""
    schema: dict[str, Any] = json.loads((SCHEMAS / f"{stream}.json").read_text(encoding="utf-8"))
    return schema


def validator(stream: str) -> Draft202012Validator:
    """A validator that also judges instants."""
    return Draft202012Validator(load(stream), format_checker=instants)


def properties(stream: str) -> dict[str, dict[str, Any]]:
    """All properties of a stream at every depth, array items left out."""
    return schema_file.properties(load(stream))


def keys(facts: Facts) -> list[str]:
    """The fields without which a row cannot be stored or bookmarked."""
    return [*dict.fromkeys((*facts.primary_keys, *([facts.replication_key] if facts.replication_key else [])))]


PROOFS = {f"{vendor}/window_proofs" for vendor in vendor_taps("trunkline")}
"""The file that every vendor has, once more beside its own."""

every_stream = pytest.mark.parametrize("stream", STREAMS)


def test_files_are_the_contracts_streams() -> None:
    """There is one schema file for each stream of the contract; a vendor that came later has a contract test."""
    found = {path.relative_to(SCHEMAS).with_suffix("").as_posix() for path in SCHEMAS.glob("*/*.json")} - PROOFS
    ours = {stream.split("/")[0] for stream in STREAMS}
    assert {stream for stream in found if stream.split("/")[0] in ours} == set(STREAMS)
    for vendor in {stream.split("/")[0] for stream in found} - ours:
        assert (SCHEMAS.parent / "tests" / "vendors" / f"test_{vendor}.py").is_file(), vendor


@pytest.mark.parametrize("vendor", vendor_taps("trunkline"))
def test_every_file_is_complete(vendor: str) -> None:
    """Each file is a schema that says its keys, describes and types every field, and closes nothing."""
    tap = vendor_taps()[vendor]
    for facts in docs.stream_facts(tap):
        schema = load(f"{vendor}/{facts.name}")
        names = {"tap": tap.name, "stream": facts.name, "keys": facts.keys, "bookmark": facts.replication_key}
        assert not schema_file.problems(schema, **names)  # type: ignore[arg-type]


def _set(**values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda schema: schema["properties"]["caller"].update(values)


BROKEN: dict[str, Callable[[dict[str, Any]], None]] = {
    "title must be": lambda schema: schema.update(title="tap-evolux calls"),
    "it must have": lambda schema: schema.update(additionalProperties=False),
    "known by id": lambda schema: schema.update(description="One call. See https://example.com."),
    "caller must be described": _set(description="No full stop"),
    "caller must be described in one": _set(description="One. Two."),
    "caller must not be narrowed": _set(maxLength=3),
    "additionalProperties must be true": _set(additionalProperties=True),
    "caller must have one type": _set(type=["string", "integer", "null"]),
    "describe its items": _set(type=["array", "null"]),
    "caller[] must have one type": _set(type=["array", "null"], items={"description": "One of them."}),
    "caller[].x must have one type": _set(
        type=["array", "null"], items={"type": "object", "properties": {"x": {"description": "One part."}}}
    ),
    "x-personal is true": _set(**{"x-personal": "yes"}),
    "must be allowed to be null": _set(type="string"),
    "the only format is date-time": _set(format="email"),
    "start_time is the replication key": lambda schema: schema["properties"]["start_time"].pop("format"),
    "id is a key": lambda schema: schema["properties"]["id"].update(type=["integer", "null"]),
    "required must be": lambda schema: schema.update(required=["id"]),
    "the last property must be _extra": lambda schema: schema["properties"].pop("_extra"),
    "it is no schema": _set(type="text"),
}


@pytest.mark.parametrize("said", BROKEN)
def test_what_is_wrong_with_a_file_is_told(said: str) -> None:
    """Each rule is one that a file can break, and is told with the field's name."""
    schema = load("evolux/studio_calls")
    BROKEN[said](schema)
    found = schema_file.problems(schema, tap="tap-evolux", stream="studio_calls", keys=("id",), bookmark="start_time")
    assert any(said in line for line in found), found


@every_stream
def test_replication_key_and_instants_are_date_times(stream: str) -> None:
    """The replication key and every other instant are date-times, and nothing else is."""
    key = STREAMS[stream].replication_key
    expected = {*([key] if key else []), *OTHER_INSTANTS.get(stream, "").split()}
    found = {path for path, node in walk(load(stream)) if "format" in node}
    assert found == expected
    for path in found:
        node = properties(stream)[path]
        assert node["format"] == "date-time"
        assert "string" in types(node)


@every_stream
def test_personal_fields_are_marked(stream: str) -> None:
    """Exactly the fields about a person are marked, and the mark is only ever `true`."""
    marked = {path: node["x-personal"] for path, node in walk(load(stream)) if "x-personal" in node}
    assert all(value is True for value in marked.values())
    assert set(marked) == {*STREAMS[stream].personal.split(), "_extra"}


@every_stream
def test_every_documented_field_is_there(stream: str) -> None:
    """Every field of the vendor's page has its property, under the vendor's name, in order, and no other exists."""
    assert list(properties(stream)) == [*STREAMS[stream].fields.split(), "_extra"]


def test_numbers_keep_their_vendors_type() -> None:
    """Seconds that may have fractions are numbers, counts and epochs are integers, the flow ids of a cdr are text."""
    hosted, cdr, request = (
        properties(stream) for stream in ("hostedsuite/calls", "evolux/studio_cdr", "conpeek/voice_campaign_requests")
    )
    assert all(types(node)[0] == "number" for path, node in hosted.items() if path.endswith("InSeconds"))
    assert types(hosted["HoldCount"])[0] == "integer"
    assert all(types(node)[0] == "integer" for path, node in cdr.items() if path.endswith("_epoch"))
    assert types(cdr["call_flow_id"])[0] == types(cdr["project_id"])[0] == "string"
    assert types(cdr["call_id"])[0] == types(properties("evolux/studio_calls")["id"])[0] == "integer"
    assert all(types(node)[0] == "integer" for path, node in request.items() if path.endswith("_try"))
    assert types(request["custom"])[0] == types(request["voice_campaign_id"])[0] == "string"


@pytest.mark.parametrize(("stream", "record"), SAMPLES, ids=SAMPLE_IDS)
@pytest.mark.parametrize("extra", [None, {"new_field": ["anything"]}], ids=["no_extra", "extra"])
def test_documented_record_validates(stream: str, record: dict[str, Any], extra: dict[str, Any] | None) -> None:
    """A record of the vendor's page, with the tap's computed fields, validates and fits the schema's own fields."""
    row = record | {"_extra": extra}
    assert set(row) <= set(load(stream)["properties"])
    assert [error.message for error in validator(stream).iter_errors(row)] == []


@pytest.mark.parametrize(("stream", "record"), SAMPLES, ids=SAMPLE_IDS)
def test_record_without_its_key_is_refused(stream: str, record: dict[str, Any]) -> None:
    """A record whose key is missing or null does not validate, while every other field may be missing or null."""
    facts = STREAMS[stream]
    schema = validator(stream)
    for name in keys(facts):
        missing = {field: value for field, value in record.items() if field != name}
        assert not schema.is_valid(missing), name
        assert not schema.is_valid(record | {name: None}), name
    bare = {name: copy.deepcopy(record[name]) for name in keys(facts)}
    assert schema.is_valid(bare)
    assert schema.is_valid(dict.fromkeys(load(stream)["properties"]) | bare)


def test_zone_less_time_is_refused() -> None:
    """A time without a zone, or on a day that does not exist, is no instant."""
    assert is_instant("2024-08-07T12:29:23.594Z")
    assert is_instant("2020-01-12T13:00:00+00:00")
    assert not is_instant("2024-08-07T12:29:23")
    assert not is_instant("2021-08-10 00:00:00")
    assert not is_instant("2024-02-30T00:00:00Z")
    row = {"id": "1", "changed_at": "2021-08-10 00:00:00"}
    assert not validator("conpeek/voice_campaign_requests").is_valid(row)


def test_call_key_is_the_contracts() -> None:
    """The key of the page's first call is the SHA-256 of the three parts as compact JSON."""
    text = '["SA_01","EXTERNAL_ID_145","2024-08-07T12:29:23.594Z"]'
    assert call_key(BSPK_CALL) == hashlib.sha256(text.encode()).hexdigest()
    assert len({call_key(BSPK_CALL), call_key(_LATER_BSPK_CALL)}) == 2


@pytest.mark.parametrize("stream", STREAMS)
def test_g2_an_inference_is_called_one(stream: str) -> None:
    """When a value is null is the vendor's to say: a description that says it calls it documented or presumed."""
    conditions = re.compile(r"\bnull(?:,)? (?:when|while|before)\b")
    text = (SCHEMAS / f"{stream}.json").read_text(encoding="utf-8")
    told = {
        path: node["description"]
        for path, node in walk(json.loads(text))
        if conditions.search(node.get("description", "")) and path not in {"_extra", "contact_id"}  # the tap's own
    }
    assert [path for path, said in told.items() if "resumably" not in said and "the vendor" not in said] == []
