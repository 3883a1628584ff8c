using System.Diagnostics;

namespace Signet.Benchmarks;

/// <summary>Where the tools, the peers' files and the results lie.</summary>
internal static class Repository
{
    public static string Root { get; } = Find(AppContext.BaseDirectory);

    public static string Commit()
    {
        try
        {
            using var git = Process.Start(new ProcessStartInfo("git", ["describe", "--always", "--dirty"])
            {
                RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = Root,
            })!;
            var text = git.StandardOutput.ReadToEnd().Trim();
            git.WaitForExit();
            return text.Length > 0 ? text : "unknown";
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return "unknown";
        }
    }

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
