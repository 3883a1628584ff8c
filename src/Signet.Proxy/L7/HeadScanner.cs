namespace Signet.Proxy.L7;

/// <summary>
/// Finds the empty line that ends a head or a trailer section, in a buffer that grows: no byte is looked at twice. Every line must end
/// with CR LF (RFC 9112 §2.2 lets a recipient accept a bare LF; two recipients that differ on it can be played against each other).
/// </summary>
public struct HeadScanner
{
    private int _line;
    private int _scanned;

    /// <summary>Looks for the end in everything received so far, which must begin with what the previous call got.</summary>
    /// <param name="received">The bytes, from the section's first.</param>
    /// <param name="length">The section's length, its empty line included, when the answer is true.</param>
    /// <param name="problem">Not null when the bytes can never become a section.</param>
    public bool TryFindEnd(ReadOnlySpan<byte> received, out int length, out HttpProblem? problem)
    {
        length = 0;
        problem = null;
        while (true)
        {
            var found = received[_scanned..].IndexOf((byte)'\n');
            if (found < 0)
            {
                _scanned = received.Length;
                return false;
            }

            var lineFeed = _scanned + found;
            if (lineFeed == _line || received[lineFeed - 1] != '\r')
            {
                problem = HttpProblem.BareLineFeed;
                return false;
            }

            var isEmptyLine = lineFeed == _line + 1;
            _line = _scanned = lineFeed + 1;
            if (isEmptyLine)
            {
                length = _line;
                return true;
            }
        }
    }
}
