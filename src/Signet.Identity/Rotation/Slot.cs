namespace Signet.Identity.Rotation;

/// <summary>Where the occupant of a slot is in its life. What is in none of these states is gone.</summary>
public enum SlotState
{
    /// <summary>Made and published, not yet used.</summary>
    Prepared,

    /// <summary>In use.</summary>
    Active,

    /// <summary>No longer used; what was made with it still holds.</summary>
    Old,

    /// <summary>No longer to be relied on: what was made with it still holds, and is being replaced.</summary>
    Tainted,

    /// <summary>No longer accepted by anybody.</summary>
    Revoked,
}

/// <summary>The occupant of a slot as <see cref="RotationRule"/> sees it.</summary>
public readonly record struct Slot(string Id, SlotState State, Validity Validity);

/// <summary>What is due for a row of slots, and for which of them; the ID is empty when it concerns none.</summary>
public readonly record struct SlotAction(RotationStep Step, string Id = "");
