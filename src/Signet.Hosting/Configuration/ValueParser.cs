using System.Diagnostics.CodeAnalysis;

namespace Signet.Hosting.Configuration;

/// <summary>Reads a value from its text, or says why it is none.</summary>
public delegate bool ValueParser<T>(string text, [MaybeNullWhen(false)] out T value, out string problem);
