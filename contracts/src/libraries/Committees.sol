// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ProviderRegistry} from "../ProviderRegistry.sol";

/// @title Committees
/// @notice The verifiers of one dispute: drawn by chance, each commits to a verdict and then reveals it.
library Committees {
    enum Verdict {
        None,
        Right,
        Wrong
    }

    struct Committee {
        uint256 seats;
        uint256 right;
        uint256 wrong;
        address[] verifiers;
        mapping(address verifier => bool) isDrawn;
        mapping(address verifier => bytes32) commitments;
        mapping(address verifier => Verdict) verdicts;
    }

    /// @dev Provider, challenger and requester do not judge.
    uint256 private constant PARTIES = 3;

    /// @notice The address was not drawn.
    error Committees_NotDrawn(address verifier);
    /// @notice The verifier has committed, or revealed, before.
    error Committees_Again(address verifier);
    /// @notice The verdict is not the one that was committed.
    error Committees_BadReveal(address verifier);

    /// @notice Draws as many verifiers as there are seats, none of them a party, and holds their stake. Every active
    /// provider has the same chance: whoever wants more of it stakes the minimum again under another name.
    /// @return drawn false if there are too few
    function draw(
        Committee storage self,
        ProviderRegistry registry,
        bytes32 seed,
        address provider,
        address challenger,
        address requester
    ) internal returns (bool drawn) {
        uint256 count = registry.activeCount();
        if (count < self.seats + PARTIES) return false;
        for (uint256 seat; seat < self.seats; ++seat) {
            // From a random place on, the first who may judge.
            for (uint256 index = uint256(keccak256(abi.encode(seed, seat)));; ++index) {
                address candidate = registry.activeAt(index % count);
                bool party = candidate == provider || candidate == challenger || candidate == requester;
                if (party || self.isDrawn[candidate]) continue;
                self.isDrawn[candidate] = true;
                self.verifiers.push(candidate);
                registry.hold(candidate);
                break;
            }
        }
        return true;
    }

    /// @notice Takes a verifier's commitment, once.
    function commit(Committee storage self, address verifier, bytes32 commitment) internal {
        if (!self.isDrawn[verifier]) revert Committees_NotDrawn(verifier);
        if (self.commitments[verifier] != 0) revert Committees_Again(verifier);
        self.commitments[verifier] = commitment;
    }

    /// @notice Counts a verdict that hashes to what the verifier committed to.
    function reveal(Committee storage self, address verifier, bool wrong, bytes32 commitment) internal {
        if (self.commitments[verifier] != commitment) revert Committees_BadReveal(verifier);
        if (self.verdicts[verifier] != Verdict.None) revert Committees_Again(verifier);
        self.verdicts[verifier] = wrong ? Verdict.Wrong : Verdict.Right;
        if (wrong) ++self.wrong;
        else ++self.right;
    }
}
