using System.Collections.Immutable;

namespace Signet.Server.Access;

/// <summary>What a caller may be allowed to do. In configuration it is written <c>noun.verb</c>, as in <c>entry.write</c>.</summary>
public enum AccessAction
{
    EntryRead,

    /// <summary>Create, change and delete entries that are neither admin nor downstream.</summary>
    EntryWrite,

    /// <summary>Touch entries that are admin or downstream. Counts only without paths: such an entry reaches beyond every path.</summary>
    EntryPrivilege,
    AgentRead,

    /// <summary>Ban, evict and purge agents.</summary>
    AgentWrite,
    TokenCreate,

    /// <summary>Sign SVIDs past registration.</summary>
    SvidMint,
    BundleRead,
    BundleWrite,
    FederationRead,
    FederationWrite,
    AuthorityRead,

    /// <summary>Prepare, activate, taint, revoke and rotate authorities.</summary>
    AuthorityWrite,
    AuditRead,

    /// <summary>Health, versions, log level, reflection.</summary>
    ServerRead,

    /// <summary>Change the log level.</summary>
    ServerWrite,
}

/// <summary>Actions as people write them.</summary>
public static class AccessActions
{
    public static ImmutableArray<AccessAction> All { get; } = [.. Enum.GetValues<AccessAction>()];

    private static readonly Dictionary<AccessAction, string> Texts = All.ToDictionary(action => action, Write);

    /// <summary>As <c>entry.read</c>.</summary>
    public static string Text(this AccessAction action) => Texts[action];

    /// <summary>The actions that a pattern names: one of them, <c>entry.*</c>, <c>*.read</c> or <c>*</c>. Empty when it names none.</summary>
    public static IEnumerable<AccessAction> Matching(string pattern) => All.Where(action => pattern switch
    {
        "*" => true,
        ['*', '.', ..] => action.Text().EndsWith(pattern[1..], StringComparison.Ordinal),
        [.., '.', '*'] => action.Text().StartsWith(pattern[..^1], StringComparison.Ordinal),
        _ => action.Text() == pattern,
    });

    // "EntryRead" has its dot before the second capital.
    private static string Write(AccessAction action)
    {
        var name = action.ToString();
        var verb = name.Skip(1).TakeWhile(c => !char.IsAsciiLetterUpper(c)).Count() + 1;
        return $"{name[..verb]}.{name[verb..]}".ToLowerInvariant();
    }
}
