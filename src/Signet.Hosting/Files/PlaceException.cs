using Signet.Identity.Spiffe;

namespace Signet.Hosting.Files;

/// <summary>A folder, file or socket can't be used as it is. The message names it, says why, and what to do.</summary>
public sealed class PlaceException : IOException
{
    /// <param name="what">The kind of place, as <c>folder</c>.</param>
    /// <param name="path">Where it is.</param>
    /// <param name="reason">Why it can't be used, and the next step.</param>
    /// <param name="cause">What the operating system said, if it did.</param>
    public PlaceException(string what, string path, string reason, Exception? cause = null)
        : base($"{what} {Printable.Of(path)} {reason}", cause) =>
        (Path, Reason) = (path, reason);

    public string Path { get; }

    public string Reason { get; }
}
