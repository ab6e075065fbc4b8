package io.github.sqsamdeploy

import kotlinx.coroutines.CancellationException

/** A prompt that means nothing on its photo; the message says why. */
public class PromptException(message: String) : IllegalArgumentException(message)

/** A model file, its metadata or its outputs are not what they must be. */
public class ArtifactException(message: String, cause: Throwable? = null) : Exception(message, cause)

/**
 * A prediction that nobody waits for any more, because a later prompt on the same photo came.
 *
 * It is a cancellation: a coroutine that does not catch it ends quietly.
 */
public class SupersededException : CancellationException("a later prompt took this one's place")
