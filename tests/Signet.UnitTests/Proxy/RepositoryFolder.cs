namespace Signet.UnitTests.Proxy;

/// <summary>Where documents lie that the code must agree with.</summary>
internal static class RepositoryFolder
{
    public static string Read(params string[] path) => File.ReadAllText(Find(path));

    public static string Find(params string[] path) => Path.Combine([Root(), .. path]);

    private static string Root()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Signet.slnx")))
        {
            folder = folder.Parent;
        }

        return folder?.FullName ?? throw new InvalidOperationException("the tests run outside the repository");
    }
}
