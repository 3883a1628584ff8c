namespace Signet.Benchmarks;

/// <summary>Where the tools, the peers' files and the results lie.</summary>
internal static class Repository
{
    public static string Root { get; } = Find(AppContext.BaseDirectory);

    private static string Find(string folder)
    {
        for (var here = new DirectoryInfo(folder); here is not null; here = here.Parent)
        {
            if (File.Exists(Path.Combine(here.FullName, "Signet.slnx")))
            {
                return here.FullName;
            }
        }

        throw new BenchException($"{folder} is not inside the repository; run make bench there");
    }
}
