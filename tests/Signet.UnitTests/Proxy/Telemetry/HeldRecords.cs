using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using Signet.Proxy.Telemetry;

namespace Signet.UnitTests.Proxy.Telemetry;

/// <summary>Records with a number each in their path, and how many of them whoever got them still holds.</summary>
internal sealed class HeldRecords
{
    private readonly List<WeakReference> _offered = [];

    /// <summary>How many somebody still holds.</summary>
    public int Held
    {
        get
        {
            GC.Collect();
            return _offered.Count(record => record.IsAlive);
        }
    }

    public static int NumberIn(string text) => int.Parse(Regex.Match(text, "/number/([0-9]+)").Groups[1].ValueSpan, CultureInfo.InvariantCulture);

    [MethodImpl(MethodImplOptions.NoInlining)]
    public static AccessRecord Number(int number)
    {
        var record = Records.Allowed();
        (record.Path, record.Trace) = ($"/number/{number}", TraceContext.Begin(isSampled: true));
        return record;
    }

    /// <summary>Hands over so many, numbered from the first on.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public void Offer(int first, int count, Action<AccessRecord> take)
    {
        for (var i = first; i < first + count; i++)
        {
            var record = Number(i);
            _offered.Add(new WeakReference(record));
            take(record);
        }
    }
}
