using System.Diagnostics;
using System.Globalization;

namespace Signet.CrashingServer;

/// <summary>
/// <c>Signet.CrashingServer FOLDER ACT N</c>: does something on a server's data folder and kills its own process, without warning, at the N-th step
/// of it. Each step goes to standard output before it counts: its name, a bar, and what the store must hold.
/// </summary>
internal static class Program
{
    public static async Task<int> Main(string[] arguments)
    {
        var (folder, act, last) = (arguments[0], Act.All[arguments[1]], int.Parse(arguments[2], CultureInfo.InvariantCulture));
        var (steps, counts) = (0, act.Given is null);
        await using var story = await Story.OpenAsync(folder, act.IsExternal, Reached, serial => Console.WriteLine($"signed|{serial}"));
        counts = true;
        await act.Do(story);
        return 0;

        void Reached(string step, StoreContent content)
        {
            if (counts)
            {
                Console.WriteLine($"{step}|{content}");
                if (++steps == last)
                {
                    Process.GetCurrentProcess().Kill();
                    Thread.Sleep(Timeout.Infinite);
                }
            }
        }
    }
}
