namespace Signet.Hosting.Configuration;

/// <summary>What has to be asked for, because its standard may still change.</summary>
/// <param name="Wit">WIT-SVIDs.</param>
public sealed record Features(bool Wit)
{
    private const string WitName = "wit";

    /// <summary>Reads <c>features</c>, a list of names; the section collects problems.</summary>
    public static Features Read(ConfigSection root)
    {
        var names = root.Texts("features");
        foreach (var unknown in names.Where(name => name != WitName))
        {
            root.Problem("features", $"\"{Identity.Spiffe.Printable.Of(unknown)}\" is not a feature; there is {WitName}");
        }

        return new Features(names.Contains(WitName));
    }
}
