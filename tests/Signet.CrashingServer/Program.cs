using System.Diagnostics;
using System.Globalization;

namespace Signet.CrashingServer;

/// <summary>
/// <c>Signet.CrashingServer FOLDER ACT N</c>: does something on a server's data folder and kills its own process, without warning, at the N-th step
/// of it; with <c>held</c> for N it stands still at each step until a line comes on standard input. Each step goes to standard output before it counts:
/// its name, a bar, and what the store must hold.
/// </summary>
internal static class Program
{
    public static async Task<int> Main(string[] arguments)
    {
        var (folder, act, isHeld) = (arguments[0], Act.All[arguments[1]], arguments[2] == "held");
        var (last, steps, counts) = (isHeld ? 0 : int.Parse(arguments[2], CultureInfo.InvariantCulture), 0, act.Given is null);
        await using var story = await Story.OpenAsync(folder, act.IsExternal, Reached, serial => Console.WriteLine($"signed|{serial}"));
        counts = true;
        await act.Do(story);
        return 0;

        void Reached(string step, StoreContent content)
        {
            if (counts)
            {
                Console.WriteLine($"{step}|{content}");
                if (isHeld)
                {
                    Console.ReadLine();
                }
                else if (++steps == last)
                {
                    Process.GetCurrentProcess().Kill();
                    Thread.Sleep(Timeout.Infinite);
                }
            }
        }
    }
}
