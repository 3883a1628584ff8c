namespace Signet.Policy;

/// <summary>A text in which every <c>*</c> stands for any characters, none included. Time is linear in text × stars, whatever the text.</summary>
internal sealed class Glob(string pattern)
{
    private readonly string[] _pieces = pattern.Split('*');

    public bool Matches(ReadOnlySpan<char> text)
    {
        if (_pieces.Length == 1)
        {
            return text.SequenceEqual(_pieces[0]);
        }

        if (!text.StartsWith(_pieces[0], StringComparison.Ordinal))
        {
            return false;
        }

        text = text[_pieces[0].Length..];
        foreach (var piece in _pieces.AsSpan(1, _pieces.Length - 2))
        {
            var at = text.IndexOf(piece, StringComparison.Ordinal);
            if (at < 0)
            {
                return false;
            }

            text = text[(at + piece.Length)..];
        }

        return text.EndsWith(_pieces[^1], StringComparison.Ordinal);
    }
}
