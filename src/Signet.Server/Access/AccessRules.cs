using System.Collections.Immutable;
using Signet.Hosting.Configuration;
using Signet.Identity;
using Signet.Identity.Spiffe;

namespace Signet.Server.Access;

/// <summary>
/// Who was given which role: the section <c>admin</c> of server.yaml, checked. Whoever is not named has none, with two exceptions, which a grant
/// for them overrides: root and the user that runs the server, and workloads with an admin entry. Immutable.
/// </summary>
public sealed record AccessRules
{
    private ImmutableDictionary<uint, ImmutableArray<Grant>> ByUid { get; init; } = ImmutableDictionary<uint, ImmutableArray<Grant>>.Empty;

    private ImmutableDictionary<SpiffeId, ImmutableArray<Grant>> ById { get; init; } = ImmutableDictionary<SpiffeId, ImmutableArray<Grant>>.Empty;

    /// <summary>Nobody is named.</summary>
    public static AccessRules Default { get; } = new();

    /// <summary>Whether users other than root and the server's own must be able to open the admin socket.</summary>
    public bool NamesOtherUsers(uint own) => ByUid.Keys.Any(uid => uid != 0 && uid != own);

    /// <summary>What a local user may do.</summary>
    /// <param name="uid">Whose process opened the admin socket.</param>
    /// <param name="own">The user that runs the server.</param>
    public Rights Of(uint uid, uint own) =>
        ByUid.TryGetValue(uid, out var grants) ? new Rights(grants)
        : uid == 0 || uid == own ? new Rights([Grant.Everywhere(Role.Admin, uid == own ? "being the user that runs the server" : "being root")])
        : Rights.None;

    /// <summary>What a workload may do that proved its ID.</summary>
    /// <param name="id">Its ID.</param>
    /// <param name="adminEntry">The entry that makes it an administrator; null for none.</param>
    public Rights Of(SpiffeId id, string? adminEntry) =>
        ById.TryGetValue(id, out var grants) ? new Rights(grants)
        : adminEntry is not null ? new Rights([Grant.Everywhere(Role.Admin, $"admin entry {adminEntry}")])
        : Rights.None;

    /// <summary>Workloads with the role <c>admin</c>, everywhere.</summary>
    public static AccessRules OfAdmins(IEnumerable<SpiffeId> ids) => new()
    {
        ById = ids.Distinct().ToImmutableDictionary(id => id, _ => ImmutableArray.Create(Grant.Everywhere(Role.Admin, "admin_ids"))),
    };

    /// <summary>Reads the section <c>admin</c>; problems are collected by it.</summary>
    public static AccessRules Read(ConfigSection admin)
    {
        var roles = ReadRoles(admin.Section("roles"));
        var byUid = new Dictionary<uint, List<Grant>>();
        var byId = new Dictionary<SpiffeId, List<Grant>>();
        foreach (var text in admin.Texts("uids"))
        {
            if (TryReadUid(admin, "uids", text, out var uid))
            {
                byUid[uid] = [Grant.Everywhere(Role.Admin, "admin.uids")];
            }
        }

        var alreadyAdmin = byUid.Keys.ToHashSet();
        foreach (var section in admin.Sections("grants"))
        {
            var (uidText, idText) = (section.Text("uid"), section.Text("spiffeId"));
            var grant = ReadGrant(section, roles);
            if ((uidText is null) == (idText is null))
            {
                section.Problem("role", "a grant is for one caller; write either uid or spiffeId");
            }
            else if (uidText is not null)
            {
                if (TryReadUid(section, "uid", uidText, out var uid))
                {
                    if (alreadyAdmin.Contains(uid))
                    {
                        section.Problem("uid", $"user {uid} stands under admin.uids, which gives it the role admin everywhere; take it out there or here");
                    }

                    Add(byUid, uid, grant);
                }
            }
            else if (SpiffeId.TryParse(idText, out var id, out var problem))
            {
                Add(byId, id, grant);
            }
            else
            {
                section.Problem("spiffeId", problem);
            }
        }

        return new AccessRules
        {
            ByUid = byUid.ToImmutableDictionary(pair => pair.Key, pair => pair.Value.ToImmutableArray()),
            ById = byId.ToImmutableDictionary(pair => pair.Key, pair => pair.Value.ToImmutableArray()),
        };
    }

    private static Dictionary<string, Role> ReadRoles(ConfigSection section)
    {
        var roles = new Dictionary<string, Role>(StringComparer.Ordinal) { [Role.Admin.Name] = Role.Admin, [Role.Viewer.Name] = Role.Viewer };
        foreach (var name in section.Keys)
        {
            var actions = new HashSet<AccessAction>();
            foreach (var pattern in section.Texts(name))
            {
                var matching = AccessActions.Matching(pattern).ToArray();
                actions.UnionWith(matching);
                if (matching.Length == 0)
                {
                    var near = NearestWord.To(pattern, [.. AccessActions.All.Select(action => action.Text())]);
                    section.Problem(name, $"\"{Printable.Of(pattern)}\" is not an action; {(near is null ? $"write one of {string.Join(", ", AccessActions.All.Select(action => action.Text()))}" : $"did you mean \"{near}\"?")}");
                }
            }

            if (!roles.TryAdd(name, new Role(name, [.. actions])))
            {
                section.Problem(name, $"the role {name} is built in and cannot be changed; choose another name");
            }
        }

        return roles;
    }

    private static Grant ReadGrant(ConfigSection section, Dictionary<string, Role> roles)
    {
        var name = section.RequiredText("role");
        if (!roles.TryGetValue(name, out var role) && name.Length > 0)
        {
            var known = roles.Keys.Order(StringComparer.Ordinal).ToArray();
            section.Problem("role", $"there is no role \"{Printable.Of(name)}\"; {(NearestWord.To(name, known) is { } near ? $"did you mean \"{near}\"?" : $"there are {string.Join(", ", known)}")}");
        }

        var paths = section.Texts("paths");
        foreach (var path in paths)
        {
            if (!SpiffeId.TryParse($"spiffe://example.org{path.TrimEnd('/')}", out var id, out var problem) || !path.StartsWith('/') || !id.HasPath)
            {
                section.Problem("paths", $"\"{Printable.Of(path)}\" is not the beginning of a SPIFFE ID's path, such as /ns/prod/{(problem?.Length > 0 ? $": {problem}" : "")}");
            }
        }

        if (section.Shape("paths") == ConfigShape.List && paths.Count == 0)
        {
            section.Problem("paths", "an empty list would allow everything; leave paths out for that, or name one");
        }

        var dnsNames = section.Texts("dnsNames");
        if (dnsNames.Count > 0 && paths.Count == 0)
        {
            section.Problem("dnsNames", "without paths every DNS name is allowed; leave dnsNames out");
        }

        return new Grant(role ?? Role.Viewer, [.. paths], [.. dnsNames], section.Path);
    }

    private static bool TryReadUid(ConfigSection section, string key, string text, out uint uid)
    {
        if (uint.TryParse(text, out uid))
        {
            return true;
        }

        section.Problem(key, $"\"{Printable.Of(text)}\" is not a user's number");
        return false;
    }

    private static void Add<TKey>(Dictionary<TKey, List<Grant>> grants, TKey key, Grant grant)
        where TKey : notnull
    {
        if (!grants.TryGetValue(key, out var list))
        {
            grants[key] = list = [];
        }

        list.Add(grant);
    }
}
