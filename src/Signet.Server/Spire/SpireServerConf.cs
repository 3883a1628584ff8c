using System.Net;
using Microsoft.Extensions.Logging;
using Signet.Authority.Rotation;
using Signet.Hosting;
using Signet.Hosting.Configuration;
using Signet.Hosting.Logging;
using Signet.Identity.Spiffe;
using Signet.Identity.X509;
using Signet.Server.Access;
using Signet.Server.Attestation;
using Signet.Server.Http;
using Signet.Server.Upstream;

namespace Signet.Server.Spire;

/// <summary>
/// SPIRE's server.conf as a configuration of this server. What has no meaning here is a warning that says what happens instead; what would be
/// dangerous to pass over is a problem, and the server does not start.
/// </summary>
internal static class SpireServerConf
{
    private const string DefaultSocket = "/tmp/spire-server/private/api.sock";

    /// <summary>Settings without an effect that nobody would miss, and why.</summary>
    private static readonly (string Key, string Reason)[] Meaningless =
    [
        ("log_file", "logs go to standard error; redirect it, or let the service manager keep it"),
        ("log_source_location", "log lines name their area and event instead"),
        ("agent_ttl", "agents' SVIDs live as long as workloads'"),
        ("ratelimit", "limits are always in force; see docs/reference/limits.md for theirs"),
        ("omit_x509svid_uid", "certificates never carry a unique identifier"),
        ("agent_spiffe_id_as_selector", "an agent's ID is not one of its selectors"),
        ("max_attested_node_info_staleness", "what is known of agents is never stale"),
        ("cache_reload_interval", "changes are in force at once"),
        ("prune_tofu_nodes", "agents that could attest only once stay; evict them with: signet agent purge --include-tofu"),
        ("prune_event_older_than", "there is no log of events to prune"),
        ("profiling_enabled", "there is no profiling endpoint"),
        ("profiling_port", "there is no profiling endpoint"),
        ("profiling_freq", "there is no profiling endpoint"),
        ("profiling_names", "there is no profiling endpoint"),
        ("proxy_protocol_trusted_cidrs", "PROXY headers are not understood; let the load balancer pass connections through"),
        ("plugin_dir", "there are no plugins outside this program"),
        ("named_pipe_name", "there are no named pipes on this system"),
    ];

    /// <summary>Whether a document is one of SPIRE's: its server is a section, where ours is never.</summary>
    public static bool IsIn(ConfigSection root) => root.Shape("server") == ConfigShape.Section;

    /// <summary>Reads every key; problems and warnings are collected by the section.</summary>
    public static ServerConfig Read(ConfigSection root, Places places)
    {
        var server = root.Section("server");
        var trustDomain = server.RequiredTrustDomain("trust_domain");
        var dataDir = server.FilePath("data_dir", places.ServerState);
        var plugins = ReadPlugins(root.Section("plugins"), dataDir);
        var (http, federation) = SpireFederation.Read(server.Section("federation"), trustDomain, endpoint => ReadEndPoint(endpoint, "address", "0.0.0.0", "port", 443));
        ReadDangers(server);
        foreach (var (key, reason) in Meaningless.Where(one => server.Shape(one.Key) != ConfigShape.Absent))
        {
            server.Warn(key, $"{key} has no effect: {reason}");
        }

        var svidTtl = server.Duration("default_svid_ttl");
        var caKeyType = ReadKeyType(server, "ca_key_type", KeyType.EcP256);
        return new ServerConfig
        {
            TrustDomain = trustDomain,
            Listen = ReadEndPoint(server, "bind_address", "0.0.0.0", "bind_port", 8081),
            AdminSocket = server.FilePath("socket_path", DefaultSocket),
            Access = AccessRules.OfAdmins(ReadIds(server, "admin_ids")),
            Metrics = ReadMetrics(root.Section("telemetry"), root.Section("health_checks")),
            DataDir = dataDir,
            StorePath = Path.Combine(dataDir, "signet.db"),
            X509Ttl = server.Duration("default_x509_svid_ttl") ?? svidTtl ?? TimeSpan.FromHours(1),
            JwtTtl = server.Duration("default_jwt_svid_ttl") ?? TimeSpan.FromMinutes(5),
            Attestation = plugins.Attestation,
            Upstream = plugins.Upstream,
            JwtIssuer = ReadIssuer(server),
            Http = http,
            Federation = federation,
            PurgeAgentsAfter = server.Duration("prune_attested_nodes_expired_for") ?? TimeSpan.Zero,
            Authority = new AuthorityPlan
            {
                TrustDomain = trustDomain,
                IsExternal = plugins.Upstream is not null,
                HasVolatileKeys = plugins.KeysInMemory,
                KeyType = caKeyType,
                JwtKeyType = ReadKeyType(server, "jwt_key_type", caKeyType),
                IssuingTtl = server.Duration("ca_ttl", TimeSpan.FromHours(24), TimeSpan.FromSeconds(5)),
                Subject = ReadSubject(server.Section("ca_subject")),
            },
            Warnings = root.Warnings,
        };
    }

    /// <summary>How much is logged, and how.</summary>
    public static LogConfig ReadLog(ConfigSection root)
    {
        var server = root.Section("server");
        var level = server.Text("log_level", "INFO").ToUpperInvariant() switch
        {
            "TRACE" => LogLevel.Trace,
            "DEBUG" => LogLevel.Debug,
            "INFO" => LogLevel.Information,
            "WARN" or "WARNING" => LogLevel.Warning,
            "ERROR" or "FATAL" or "PANIC" => LogLevel.Error,
            var other => Unknown(other),
        };
        return new LogConfig(level, server.Choice("log_format", LogFormat.Text, ("text", LogFormat.Text), ("TEXT", LogFormat.Text), ("json", LogFormat.Json), ("JSON", LogFormat.Json)));

        LogLevel Unknown(string other)
        {
            server.Problem("log_level", $"\"{Printable.Of(other)}\" is not one of TRACE, DEBUG, INFO, WARN, ERROR");
            return LogLevel.Information;
        }
    }

    private static void ReadDangers(ConfigSection server)
    {
        if (server.Flag("disable_jwt_svids", false))
        {
            server.Problem("disable_jwt_svids", "JWT-SVIDs can't be switched off here; take this out only if it is fine that agents get them");
        }

        if (server.Flag("require_pq_kem", false))
        {
            server.Problem("require_pq_kem", "post-quantum key exchange can't be required here; take this out only if connections without it are fine");
        }

        if (!server.Flag("audit_log_enabled", true))
        {
            server.Warn("audit_log_enabled", "audit_log_enabled has no effect: the audit trail can't be switched off");
        }

        var experimental = server.Section("experimental");
        foreach (var key in experimental.Keys)
        {
            if (key is "auth_opa_policy_engine" or "require_pq_kem")
            {
                experimental.Problem(key, $"{key} decides who may do what, or how connections are protected, and is not understood here; express it under admin in server.yaml, or take it out");
            }

            experimental.Warn(key, $"{key} has no effect: it is an experiment of SPIRE's");
        }
    }

    private static SpirePlugins ReadPlugins(ConfigSection plugins, string dataDir)
    {
        var read = new SpirePlugins(new AttestationConfig(), Upstream: null, KeysInMemory: false);
        foreach (var plugin in SpirePlugin.All(plugins))
        {
            switch (plugin.Kind, plugin.Name)
            {
                case ("DataStore", "sql") when plugin.Data.Text("database_type", "") is "sqlite3":
                    plugin.Data.Warn("connection_string", $"SPIRE's database is not taken over: entries and agents are kept in {Path.Combine(dataDir, "signet.db")}, which begins empty");
                    plugin.Data.Ignore("ro_connection_string", "max_open_conns", "max_idle_conns", "conn_max_lifetime", "disable_migration");
                    break;
                case ("DataStore", _):
                    plugin.Data.Problem("database_type", "only sqlite3 is understood; servers that share another database would each go their own way");
                    plugin.Data.Ignore([.. plugin.Data.Keys]);
                    break;
                case ("KeyManager", "disk"):
                    plugin.Data.Warn("keys_path", $"SPIRE's keys are not taken over: new ones lie in {Path.Combine(dataDir, "keys")}");
                    break;
                case ("KeyManager", "memory"):
                    plugin.Data.Ignore([.. plugin.Data.Keys]);
                    read = read with { KeysInMemory = true };
                    break;
                case ("KeyManager", _):
                    plugin.Refuse("its keys would lie on the disk of this machine instead; write KeyManager \"disk\" if that is fine");
                    break;
                case ("NodeAttestor", _):
                    read = read with { Attestation = SpireAttestors.With(read.Attestation, plugin) };
                    break;
                case ("UpstreamAuthority", "disk"):
                    read = read with { Upstream = SpireUpstreams.ReadDisk(plugin) };
                    break;
                case ("UpstreamAuthority", "spire"):
                    read = read with { Upstream = SpireUpstreams.ReadServer(plugin) };
                    break;
                case ("UpstreamAuthority", _):
                    plugin.Warn("this server signs with a trust anchor of its own; give relying parties its bundle (signet bundle show)");
                    break;
                case ("Notifier" or "BundlePublisher", _):
                    plugin.Warn("bundles are not published like this; fetch them from the server instead");
                    break;
                case ("CredentialComposer", _):
                    plugin.Warn("certificates are not changed by it");
                    break;
                case ("WorkloadAttestor" or "SVIDStore" or "NodeResolver", _):
                    plugin.Warn("servers have no such plugins; agents do");
                    break;
                default:
                    plugin.Refuse("this kind of plugin is not known");
                    break;
            }
        }

        return read;
    }

    /// <summary>What plugins come to.</summary>
    private sealed record SpirePlugins(AttestationConfig Attestation, UpstreamConfig? Upstream, bool KeysInMemory);

    // Metrics and health are one endpoint here.
    private static IPEndPoint ReadMetrics(ConfigSection telemetry, ConfigSection health)
    {
        var prometheus = telemetry.Section("Prometheus");
        foreach (var key in telemetry.Keys.Where(key => key != "Prometheus"))
        {
            telemetry.Warn(key, $"{key} has no effect: metrics are read from the metrics endpoint (Prometheus)");
        }

        foreach (var key in prometheus.Keys.Where(key => key is not ("host" or "port")))
        {
            prometheus.Warn(key, $"{key} has no effect: the metrics endpoint has no TLS; keep it on loopback");
        }

        var metrics = ReadEndPoint(prometheus, "host", "127.0.0.1", "port", 9901);
        foreach (var key in health.Keys.Where(key => key is "live_path" or "ready_path"))
        {
            health.Warn(key, $"{key} has no effect: health is at /live and /ready");
        }

        if (!health.Flag("listener_enabled", false))
        {
            health.Text("bind_address");
            health.Text("bind_port");
            return metrics;
        }

        var listen = ReadEndPoint(health, "bind_address", "127.0.0.1", "bind_port", 80);
        if (prometheus.IsPresent && !listen.Equals(metrics))
        {
            health.Warn("bind_port", $"health is at {metrics}, where the metrics are; it has no endpoint of its own");
            return metrics;
        }

        return listen;
    }

    private static IPEndPoint ReadEndPoint(ConfigSection section, string addressKey, string address, string portKey, int port)
    {
        var text = section.Text(addressKey, address);
        text = text is "localhost" ? "127.0.0.1" : text is "" ? "0.0.0.0" : text;
        var number = section.Integer(portKey, port, 0, 65535);
        if (IPAddress.TryParse(text, out var parsed))
        {
            return new IPEndPoint(parsed, number);
        }

        section.Problem(addressKey, $"\"{Printable.Of(text)}\" is not an address; write one, such as 0.0.0.0");
        return new IPEndPoint(IPAddress.Loopback, number);
    }

    private static KeyType ReadKeyType(ConfigSection server, string key, KeyType usual)
    {
        if (server.Text(key) is not { } name)
        {
            return usual;
        }

        if (!KeyTypes.TryParseAuthority(name, out var keyType, out var problem))
        {
            server.Problem(key, problem);
        }

        return keyType;
    }

    // SPIRE takes any text; here it is where readers find the keys.
    private static string? ReadIssuer(ConfigSection server)
    {
        if (server.Text("jwt_issuer") is not { } issuer || OidcDocuments.IsIssuer(issuer))
        {
            return server.Text("jwt_issuer");
        }

        server.Warn("jwt_issuer", "jwt_issuer has no effect: it is not an https URL without query, so JWT-SVIDs carry no iss claim");
        return null;
    }

    private static CertificateSubject ReadSubject(ConfigSection subject)
    {
        return new CertificateSubject(First("country"), First("organization") is { Length: > 0 } organization ? organization : "SPIFFE", subject.Text("common_name", ""));

        // SPIRE has lists here; a certificate of ours names one.
        string First(string key)
        {
            if (subject.Shape(key) == ConfigShape.Text)
            {
                return subject.Text(key, "");
            }

            var all = subject.Texts(key);
            if (all.Count > 1)
            {
                subject.Warn(key, $"only the first {key} is used, {Printable.Of(all[0])}");
            }

            return all.Count > 0 ? all[0] : "";
        }
    }

    private static IReadOnlyList<SpiffeId> ReadIds(ConfigSection server, string key)
    {
        var ids = new List<SpiffeId>();
        foreach (var text in server.Texts(key))
        {
            if (SpiffeId.TryParse(text, out var id, out var problem))
            {
                ids.Add(id);
            }
            else
            {
                server.Problem(key, problem);
            }
        }

        return ids;
    }
}
