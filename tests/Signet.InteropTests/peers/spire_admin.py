"""Administers a server as the tools around SPIRE do (list in pages, create, update with a mask, filter, count, delete), with stubs made from
the published contract by another compiler. Prints a line for each thing that held; stops at the first that did not.

usage: spire_admin.py SOCKET STUBS
"""
import sys

import grpc

socket, stubs = sys.argv[1:3]
sys.path.insert(0, stubs)

from google.protobuf import wrappers_pb2  # noqa: E402
from spire.api.types import entry_pb2, federateswith_pb2, logger_pb2, selector_pb2, spiffeid_pb2  # noqa: E402
from spire.api.server.agent.v1 import agent_pb2, agent_pb2_grpc  # noqa: E402
from spire.api.server.bundle.v1 import bundle_pb2, bundle_pb2_grpc  # noqa: E402
from spire.api.server.debug.v1 import debug_pb2, debug_pb2_grpc  # noqa: E402
from spire.api.server.entry.v1 import entry_pb2 as entries_pb2, entry_pb2_grpc as entries_pb2_grpc  # noqa: E402
from spire.api.server.logger.v1 import logger_pb2 as loggers_pb2, logger_pb2_grpc as loggers_pb2_grpc  # noqa: E402
from spire.api.server.svid.v1 import svid_pb2, svid_pb2_grpc  # noqa: E402

Code = grpc.StatusCode
OK, NOT_FOUND, ALREADY_EXISTS, INVALID_ARGUMENT = 0, 5, 6, 3
TD = "example.org"


def held(name, condition, seen=None):
    if not condition:
        sys.exit(f"did not hold: {name}: {seen!r}")
    print(name, flush=True)


def refused(name, call, code):
    try:
        seen = call()
    except grpc.RpcError as error:
        held(name, error.code() == code, (error.code(), error.details()))
        return error
    sys.exit(f"did not hold: {name}: answered {seen!r}")


def identity(path):
    return spiffeid_pb2.SPIFFEID(trust_domain=TD, path=path)


def selectors(*values):
    return [selector_pb2.Selector(type="unix", value=value) for value in values]


def entry(path, *values, **fields):
    return entry_pb2.Entry(spiffe_id=identity(path), parent_id=identity("/spire/agent/join_token/node"), selectors=selectors(*values), **fields)


channel = grpc.insecure_channel(f"unix:{socket}")
entries = entries_pb2_grpc.EntryStub(channel)
agents = agent_pb2_grpc.AgentStub(channel)

# Create, as the controller manager does: in a batch, each with its own outcome.
created = entries.BatchCreateEntry(entries_pb2.BatchCreateEntryRequest(entries=[
    entry("/a", "uid:1", "gid:1", hint="first", x509_svid_ttl=600),
    entry("/b", "uid:1"),
    entry("/c", "uid:2", "gid:1", "user:c", downstream=True),
    entry("/a", "gid:1", "uid:1"),
    entry("/d"),
    entry_pb2.Entry(spiffe_id=spiffeid_pb2.SPIFFEID(trust_domain="other.org", path="/x"), parent_id=identity("/spire/agent/join_token/node"), selectors=selectors("uid:1")),
]), timeout=30).results
held("a batch has an outcome for each", [result.status.code for result in created] == [OK, OK, OK, ALREADY_EXISTS, INVALID_ARGUMENT, INVALID_ARGUMENT], created)
held("what exists already is shown", created[3].entry.id == created[0].entry.id and not created[4].entry.id, created[3])
first = created[0].entry
held("a new entry is whole", first.id and first.created_at > 0 and first.revision_number == 0 and first.x509_svid_ttl == 600 and first.hint == "first", first)

# Masks.
masked = entries.GetEntry(entries_pb2.GetEntryRequest(id=first.id, output_mask=entry_pb2.EntryMask(spiffe_id=True)), timeout=30)
held("the mask leaves what it names and the ID", masked == entry_pb2.Entry(id=first.id, spiffe_id=identity("/a")), masked)
updated = entries.BatchUpdateEntry(entries_pb2.BatchUpdateEntryRequest(
    entries=[entry_pb2.Entry(id=first.id, hint="changed", x509_svid_ttl=1), entry_pb2.Entry(id="nobody")],
    input_mask=entry_pb2.EntryMask(hint=True)), timeout=30).results
held("an update has an outcome for each", [result.status.code for result in updated] == [OK, NOT_FOUND], updated)
held("an update changes what the mask names and nothing else", updated[0].entry.hint == "changed" and updated[0].entry.x509_svid_ttl == 600 and list(updated[0].entry.selectors) == list(first.selectors), updated[0])
held("an update is a new revision", updated[0].entry.revision_number == 1 and updated[0].entry.created_at == first.created_at, updated[0])
updated = entries.BatchUpdateEntry(entries_pb2.BatchUpdateEntryRequest(
    entries=[entry_pb2.Entry(id=first.id, selectors=[])], input_mask=entry_pb2.EntryMask(selectors=True)), timeout=30).results
held("an update to nonsense is refused", updated[0].status.code == INVALID_ARGUMENT and not updated[0].entry.id, updated)
updated = entries.BatchUpdateEntry(entries_pb2.BatchUpdateEntryRequest(
    entries=[entry_pb2.Entry(id=created[1].entry.id, spiffe_id=identity("/a"), selectors=selectors("uid:1", "gid:1"))],
    input_mask=entry_pb2.EntryMask(spiffe_id=True, selectors=True)), timeout=30).results
held("an update to what another entry says is refused", updated[0].status.code == ALREADY_EXISTS, updated)


# Filters.
def listed(**filters):
    answer = entries.ListEntries(entries_pb2.ListEntriesRequest(filter=entries_pb2.ListEntriesRequest.Filter(**filters)), timeout=30)
    counted = entries.CountEntries(entries_pb2.CountEntriesRequest(filter=entries_pb2.CountEntriesRequest.Filter(**filters)), timeout=30)
    held(f"list and count agree on {sorted(filters)}", counted.count == len(answer.entries), counted)
    return sorted(found.spiffe_id.path for found in answer.entries)


Match = selector_pb2.SelectorMatch
held("by identity", listed(by_spiffe_id=identity("/b")) == ["/b"])
held("by parent", listed(by_parent_id=identity("/spire/agent/join_token/node")) == ["/a", "/b", "/c"])
held("by hint", listed(by_hint=wrappers_pb2.StringValue(value="changed")) == ["/a"])
held("by downstream", listed(by_downstream=wrappers_pb2.BoolValue(value=True)) == ["/c"])
for match, expected in [(Match.MATCH_EXACT, ["/a"]), (Match.MATCH_SUBSET, ["/a", "/b"]), (Match.MATCH_SUPERSET, ["/a"]), (Match.MATCH_ANY, ["/a", "/b", "/c"])]:
    seen = listed(by_selectors=Match(selectors=selectors("uid:1", "gid:1"), match=match))
    held(f"by selectors, {match}", seen == expected, seen)
Federation = federateswith_pb2.FederatesWithMatch
for match in [Federation.MATCH_EXACT, Federation.MATCH_SUBSET, Federation.MATCH_SUPERSET, Federation.MATCH_ANY]:
    held(f"by federation, {match}", listed(by_federates_with=Federation(trust_domains=["other.org"], match=match)) == [])
refused("an empty selector filter", lambda: listed(by_selectors=Match()), Code.INVALID_ARGUMENT)
refused("an empty federation filter", lambda: listed(by_federates_with=Federation()), Code.INVALID_ARGUMENT)
refused("a malformed ID in a filter", lambda: listed(by_spiffe_id=spiffeid_pb2.SPIFFEID(trust_domain="Example.org", path="/a")), Code.INVALID_ARGUMENT)

# Pages.
seen, token, pages = [], "", 0
while True:
    answer = entries.ListEntries(entries_pb2.ListEntriesRequest(page_size=1, page_token=token), timeout=30)
    seen += [found.id for found in answer.entries]
    token, pages = answer.next_page_token, pages + 1
    if not token:
        break
held("pages hold everything once", len(seen) == len(set(seen)) == 3 and pages == 3, (seen, pages))
refused("a negative page", lambda: entries.ListEntries(entries_pb2.ListEntriesRequest(page_size=-1), timeout=30), Code.INVALID_ARGUMENT)
refused("no ID", lambda: entries.GetEntry(entries_pb2.GetEntryRequest(), timeout=30), Code.INVALID_ARGUMENT)
refused("an ID of nothing", lambda: entries.GetEntry(entries_pb2.GetEntryRequest(id="nothing"), timeout=30), Code.NOT_FOUND)

# Delete.
gone = entries.BatchDeleteEntry(entries_pb2.BatchDeleteEntryRequest(ids=[first.id, "nothing"]), timeout=30).results
held("a deletion has an outcome for each", [(result.id, result.status.code) for result in gone] == [(first.id, OK), ("nothing", NOT_FOUND)], gone)
held("what was deleted is gone", entries.CountEntries(entries_pb2.CountEntriesRequest(), timeout=30).count == 2)

# Agents.
token = agents.CreateJoinToken(agent_pb2.CreateJoinTokenRequest(ttl=60, agent_id=identity("/node-alias")), timeout=30)
held("a join token", token.value and token.expires_at > 0, token)
refused("a join token without a lifetime", lambda: agents.CreateJoinToken(agent_pb2.CreateJoinTokenRequest(), timeout=30), Code.INVALID_ARGUMENT)
everyone = agents.ListAgents(agent_pb2.ListAgentsRequest(), timeout=30).agents
held("an agent is listed whole", len(everyone) == 1 and everyone[0].attestation_type == "join_token" and everyone[0].x509svid_serial_number.isdigit() and everyone[0].selectors, everyone)
Filter = agent_pb2.ListAgentsRequest.Filter
for name, filters, expected in [
    ("by attestor", Filter(by_attestation_type="join_token"), 1),
    ("by another attestor", Filter(by_attestation_type="x509pop"), 0),
    ("by ban", Filter(by_banned=wrappers_pb2.BoolValue(value=True)), 0),
    ("by no ban", Filter(by_banned=wrappers_pb2.BoolValue(value=False)), 1),
    ("by reattestation", Filter(by_can_reattest=wrappers_pb2.BoolValue(value=True)), 0),
    ("by expiry", Filter(by_expires_before="2020-01-01 00:00:00 -0700 -07"), 0),
    ("by later expiry", Filter(by_expires_before="2999-01-01T00:00:00Z"), 1),
    ("by node selectors", Filter(by_selector_match=Match(selectors=everyone[0].selectors, match=Match.MATCH_EXACT)), 1),
]:
    seen = agents.ListAgents(agent_pb2.ListAgentsRequest(filter=filters), timeout=30).agents
    held(f"agents {name}", len(seen) == expected, seen)
refused("a time that is none", lambda: agents.ListAgents(agent_pb2.ListAgentsRequest(filter=Filter(by_expires_before="soon")), timeout=30), Code.INVALID_ARGUMENT)
held("agents are counted", agents.CountAgents(agent_pb2.CountAgentsRequest(), timeout=30).count == 1)
agent = agents.GetAgent(agent_pb2.GetAgentRequest(id=everyone[0].id), timeout=30)
held("an agent by ID", agent == everyone[0], agent)
refused("an agent that is none", lambda: agents.GetAgent(agent_pb2.GetAgentRequest(id=identity("/web")), timeout=30), Code.INVALID_ARGUMENT)
refused("an agent that is not there", lambda: agents.BanAgent(agent_pb2.BanAgentRequest(id=identity("/spire/agent/join_token/nobody")), timeout=30), Code.NOT_FOUND)
agents.BanAgent(agent_pb2.BanAgentRequest(id=agent.id), timeout=30)
held("a banned agent says so", agents.GetAgent(agent_pb2.GetAgentRequest(id=agent.id), timeout=30).banned)
agents.DeleteAgent(agent_pb2.DeleteAgentRequest(id=agent.id), timeout=30)
refused("a deleted agent", lambda: agents.GetAgent(agent_pb2.GetAgentRequest(id=agent.id), timeout=30), Code.NOT_FOUND)
refused("what only agents may", lambda: entries.GetAuthorizedEntries(entries_pb2.GetAuthorizedEntriesRequest(), timeout=30), Code.PERMISSION_DENIED)

# The rest.
bundle = bundle_pb2_grpc.BundleStub(channel).GetBundle(bundle_pb2.GetBundleRequest(), timeout=30)
held("the bundle", bundle.trust_domain == TD and bundle.x509_authorities and bundle.jwt_authorities, bundle)
minted = svid_pb2_grpc.SVIDStub(channel).MintJWTSVID(svid_pb2.MintJWTSVIDRequest(id=identity("/tool"), audience=["a"], ttl=60), timeout=30).svid
held("a minted token", minted.token.count(".") == 2 and minted.id.path == "/tool", minted)
refused("a minted token without audience", lambda: svid_pb2_grpc.SVIDStub(channel).MintJWTSVID(svid_pb2.MintJWTSVIDRequest(id=identity("/tool")), timeout=30), Code.INVALID_ARGUMENT)
refused("tokens that this server does not make", lambda: svid_pb2_grpc.SVIDStub(channel).MintWITSVID(svid_pb2.MintWITSVIDRequest(id=identity("/tool")), timeout=30), Code.UNIMPLEMENTED)
info = debug_pb2_grpc.DebugStub(channel).GetInfo(debug_pb2.GetInfoRequest(), timeout=30)
held("what the server is", info.svid_chain[0].id.path == "/spire/server" and info.entries_count == 2 and info.agents_count == 0, info)
logger = loggers_pb2_grpc.LoggerStub(channel)
held("the log level", logger.GetLogger(loggers_pb2.GetLoggerRequest(), timeout=30).launch_level == logger_pb2.INFO)
held("another log level", logger.SetLogLevel(loggers_pb2.SetLogLevelRequest(new_level=logger_pb2.DEBUG), timeout=30).current_level == logger_pb2.DEBUG)
refused("no log level", lambda: logger.SetLogLevel(loggers_pb2.SetLogLevelRequest(), timeout=30), Code.INVALID_ARGUMENT)
held("the first log level again", logger.ResetLogLevel(loggers_pb2.ResetLogLevelRequest(), timeout=30).current_level == logger_pb2.INFO)
print("done")
