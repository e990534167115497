/** A queue of bytes: added at its end, taken from its front. A byte is copied a few times at most, however long it stays. */
export class HeldBytes {
  #buffer: Uint8Array = new Uint8Array(0)
  #from = 0
  #to = 0

  get length(): number {
    return this.#to - this.#from
  }

  /** What is held, without a copy. Valid until the next append(). */
  get view(): Uint8Array {
    return this.#buffer.subarray(this.#from, this.#to)
  }

  append(bytes: Uint8Array): void {
    if (this.#to + bytes.length > this.#buffer.length) this.#makeRoom(this.length + bytes.length)
    this.#buffer.set(bytes, this.#to)
    this.#to += bytes.length
  }

  drop(count: number): void {
    this.#from += count
  }

  /** Moves what is held only if at least as much was dropped before it; otherwise it gets twice the room. */
  #makeRoom(length: number): void {
    if (length * 2 <= this.#buffer.length) {
      this.#buffer.copyWithin(0, this.#from, this.#to)
    } else {
      const wider = new Uint8Array(length * 2)
      wider.set(this.view)
      this.#buffer = wider
    }
    this.#to -= this.#from
    this.#from = 0
  }
}
