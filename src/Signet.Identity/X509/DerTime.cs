using System.Formats.Asn1;

namespace Signet.Identity.X509;

/// <summary>Dates (RFC 5280 §4.1.2.5): UTCTime through 2049, GeneralizedTime from 2050, whole seconds, always Zulu.</summary>
internal static class DerTime
{
    private const int LastUtcYear = 2049;

    public static DateTimeOffset Read(AsnReader reader)
    {
        if (reader.PeekTag() == Asn1Tag.UtcTime)
        {
            return reader.ReadUtcTime(LastUtcYear);
        }

        var time = reader.ReadGeneralizedTime();
        return time.Ticks % TimeSpan.TicksPerSecond == 0 && time.Year > LastUtcYear
            ? time
            : throw new AsnContentException("a date before 2050 is not a UTCTime, or has a fraction of a second");
    }

    /// <summary>Whether the second named as the last one has passed; the last one there is, in 9999, never does.</summary>
    public static bool IsOver(DateTimeOffset lastSecond, DateTimeOffset at) => at - lastSecond >= TimeSpan.FromSeconds(1);

    public static void Write(AsnWriter writer, DateTimeOffset time)
    {
        if (time.UtcDateTime.Year <= LastUtcYear)
        {
            writer.WriteUtcTime(time, LastUtcYear);
        }
        else
        {
            writer.WriteGeneralizedTime(time, omitFractionalSeconds: true);
        }
    }
}
